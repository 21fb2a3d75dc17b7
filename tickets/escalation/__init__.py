"""Calling an expert, circle by circle."""
