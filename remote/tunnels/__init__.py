"""TCP connections to one host and port of a client's network, through its agent."""
