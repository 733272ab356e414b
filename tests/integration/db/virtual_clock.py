"""A clock that a test sets, in place of Postgres' `now()` on one connection.

The ledger writes `now()` without a schema, so a function of that name in a schema that comes first in `search_path`
is the one it calls. Column defaults and functions with a pinned path keep the real clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

START = datetime(2030, 1, 1, tzinfo=UTC)


@contextmanager
def clocked(engine: Engine) -> Iterator[Connection]:
    """A connection in autocommit that never goes back to the pool: its clock must not tick for anybody else."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.detach()
        yield conn


class VirtualClock:
    """Time in whole seconds since `START`.

    Args:
        conn: the connection whose `now()` it becomes, in autocommit.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.seconds = 0
        conn.execute(text("CREATE SCHEMA IF NOT EXISTS test_clock"))
        conn.execute(
            text(
                "CREATE OR REPLACE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS"
                " $$ SELECT pg_catalog.current_setting('test_clock.now')::timestamptz $$"
            )
        )
        conn.execute(text("SET search_path = test_clock, pg_catalog"))
        self.advance(0)

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.seconds += seconds
        self._conn.execute(
            text("SELECT set_config('test_clock.now', :at, false)"), {"at": self.at(self.seconds).isoformat()}
        )

    @staticmethod
    def at(seconds: int) -> datetime:
        """The moment that lies so many seconds after the start."""
        return START + timedelta(seconds=seconds)

    @staticmethod
    def since_start(moment: datetime | None) -> int | None:
        """The reverse of `at`."""
        return None if moment is None else round((moment - START).total_seconds())
