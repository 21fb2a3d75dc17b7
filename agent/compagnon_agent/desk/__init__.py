"""The screen of whoever is at the machine, seen from an agent that has none (``docs/explanation/agent-service.md``)."""
