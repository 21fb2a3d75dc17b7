"""The agent as a service of the machine, or of one account: systemd, launchd, the Windows task scheduler."""
