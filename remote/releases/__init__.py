"""Versions of the agent: what it is installed from, which signed releases there are, and how far each has gone."""
