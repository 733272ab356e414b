"""Conventions that every table follows: one Postgres schema `hub`, named constraints, uuid ids, UTC timestamps.

The tables themselves live with their feature, in its `models.py`; importing `hub.db.tables` loads them all.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, MetaData, Uuid, func

SCHEMA = "hub"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    },
)

#: `timestamptz`: Postgres keeps UTC, clients see their zone.
Timestamp = DateTime(timezone=True)


def id_column(name: str = "id", **kwargs: Any) -> Column[Any]:
    """A UUIDv7 made by the hub (see `hub.core.ids`), never by the database."""
    return Column(name, Uuid, nullable=False, **kwargs)


def created_at() -> Column[Any]:
    """When the row was written, by the database's clock."""
    return Column("created_at", Timestamp, nullable=False, server_default=func.now())
