"""The files of a machine: looked at, and carried both ways."""
