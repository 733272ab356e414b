"""Connections: one lazily made engine for each process, thrown away after a fork.

libpq connections must not cross a fork: parent and child would speak over one socket. `forget_engine` is called in
each new worker process; it drops the inherited pool without closing the parent's sockets.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError

from hub.core.errors import ConfigError
from hub.core.settings import Settings, get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.pool import ConnectionPoolEntry

#: A connection that rested for longer is asked whether it still works before it is used, seconds. SQLAlchemy's own
#: `pool_pre_ping` asks every time: one more round trip for each transaction of a busy process.
_RESTED = 1.0
_lock = threading.Lock()
_engine: Engine | None = None


def make_engine(url: str, *, pool_size: int = 8, application_name: str = "hub", **options: Any) -> Engine:
    """Make an engine with the hub's connection settings.

    Args:
        url: a `postgresql://` URL.
        pool_size: connections kept open; up to as many again on a burst.
        application_name: shown in pg_stat_activity.
        options: passed to `sqlalchemy.create_engine`.
    """
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 5,
            "application_name": application_name,
            # A client that vanished must not hold row locks; a statement must not outlive its caller's patience.
            "options": "-c timezone=UTC -c idle_in_transaction_session_timeout=60s -c lock_timeout=10s"
            " -c tcp_user_timeout=20s",
            "keepalives_idle": 30,
        },
        **options,
    )
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", _ping_rested)
    return engine


def _note_rest(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info["rests_since"] = time.monotonic()


def _ping_rested(
    connection: psycopg.Connection[Any], entry: ConnectionPoolEntry, _checked_out: object
) -> None:
    """A server restart kills pooled connections; the ping turns the first error after it into a reconnect."""
    if time.monotonic() - entry.info.get("rests_since", time.monotonic()) < _RESTED:
        return
    try:
        autocommit, connection.autocommit = connection.autocommit, True
        connection.execute("")
        connection.autocommit = autocommit
    except psycopg.Error as error:
        raise InvalidatePoolError from error


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose reads all see the database as it was at the first of them.

    For answers put together from several tables: without it a row and its parts may be of two different moments.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        yield conn


def require_database_url(settings: Settings) -> str:
    """The database URL, or the sentence that says how to get one.

    Raises:
        ConfigError: HUB_DATABASE_URL is not set.
    """
    if settings.database_url is None:
        raise ConfigError(
            "HUB_DATABASE_URL is not set: point it to a Postgres, or start everything with `hub up`."
        )
    return settings.database_url.get_secret_value()


def get_engine() -> Engine:
    """The engine of this process, made on first use from the settings."""
    global _engine  # noqa: PLW0603
    with _lock:
        if _engine is None:
            settings = get_settings()
            _engine = make_engine(require_database_url(settings), pool_size=settings.db_pool_size)
        return _engine


def forget_engine(*, close: bool = False) -> None:
    """Drop the engine, so that the next use makes a new one.

    Args:
        close: close its connections; False after a fork, where they belong to the parent.
    """
    global _engine, _lock  # noqa: PLW0603
    _lock = threading.Lock()  # the inherited lock may have been held by a thread that does not exist here
    if _engine is not None:
        _engine.dispose(close=close)
        _engine = None
