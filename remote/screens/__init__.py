"""Looking at the screen of a machine, pointing at it, and its mouse and keyboard."""
