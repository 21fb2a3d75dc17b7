"""Writing with the person at a machine."""
