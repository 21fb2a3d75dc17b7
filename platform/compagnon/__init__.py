"""The kernel of Compagnon: settings, database, members, directory, audit, events, jobs and the web shell."""

__version__ = "0.1.0"
