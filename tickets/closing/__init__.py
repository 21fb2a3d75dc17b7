"""Closing a ticket: verified on the machine, with a word about the procedure."""
