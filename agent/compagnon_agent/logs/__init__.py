"""What this machine writes down about itself: the journal, the files of /var/log, the event log of Windows."""
