"""Statements in databases of others: PostgreSQL and MySQL."""

from hub.integrations.transports.database.transport import DatabaseTransport

__all__ = ["DatabaseTransport"]
