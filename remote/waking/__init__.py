"""Waking a machine that is switched off through the agent of a neighbour (Wake-on-LAN)."""
