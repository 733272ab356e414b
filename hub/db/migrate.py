"""Brings a database to the schema of this version: Alembic, run in code, one process at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from hub.db import partitions
from hub.db.engine import make_engine
from hub.db.schema import SCHEMA

_LOCK = 0x6875_6203  # "hub" 03: two processes that start together migrate one after the other


def config() -> Config:
    """Alembic's configuration; the migrations lie beside this file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return made


def head() -> str:
    """The revision that this version needs."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


def current(conn: Connection) -> str | None:
    """The revision that the database has; None before the first migration."""
    return MigrationContext.configure(conn, opts={"version_table_schema": SCHEMA}).get_current_revision()


def upgrade(url: str) -> None:
    """Migrate to the newest revision and make the partitions of today and the days ahead.

    Args:
        url: a `postgresql://` URL whose role may create the schema `hub`.
    """
    engine = make_engine(url, pool_size=1, application_name="hub migrate")
    try:
        with engine.connect() as conn:
            # To wait for another process' migration, however long, is not to be stuck.
            conn.execute(text("SET lock_timeout = 0"))
            conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            conn.execute(text("RESET lock_timeout"))
            conn.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            conn.commit()
            made = config()
            made.attributes["connection"] = conn
            command.upgrade(made, "head")
            conn.commit()
            with conn.begin():
                partitions.ensure(conn, datetime.now(UTC).date())
    finally:
        engine.dispose()  # ends the session, and with it the lock
