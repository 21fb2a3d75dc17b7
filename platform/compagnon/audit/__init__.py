"""The audit log: append-only, hash-chained, one record for every change of state and every remote action."""

from compagnon.audit.model import Actor, Record
from compagnon.audit.service import record, verify

__all__ = ["Actor", "Record", "record", "verify"]
