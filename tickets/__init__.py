"""Tickets: phone capture, list, conversation, calls for an expert, closing, and the dashboard."""
