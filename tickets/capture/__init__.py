"""A call on the phone becomes a ticket on one screen."""
