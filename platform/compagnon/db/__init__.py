"""PostgreSQL: the pool, the migrations and the embedded server."""

from compagnon.db.pool import Connection, Database, DatabaseError

__all__ = ["Connection", "Database", "DatabaseError"]
