"""What runs on this machine: processes and services. Nothing here decides whether it may be touched."""
