"""The composition root: wiring, command line, server, demo."""
