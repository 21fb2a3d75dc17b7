"""Recordings of sessions: written as they happen, hash-chained, replayed in the browser."""
