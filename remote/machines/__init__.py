"""Machines: enrolment, approval, facts, drift from the declared environment."""
