"""Sessions as the agent has them: a terminal, or a capability that the server calls."""
