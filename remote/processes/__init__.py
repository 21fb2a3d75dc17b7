"""What runs on a machine, and ending it."""
