"""Clients: companies and people, how to reach them and where they are."""
