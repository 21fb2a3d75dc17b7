"""The list of tickets, its filters and the filters members keep."""
