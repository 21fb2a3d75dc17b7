"""``files``: look at the files of this machine, and carry them both ways."""
