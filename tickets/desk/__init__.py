"""One ticket: its rules, its conversation, its page."""
