"""Connections: one lazily made engine for each process, thrown away after a fork.

libpq connections must not cross a fork: parent and child would speak over one socket. `forget_engine` is called in
each new worker process; it drops the inherited pool without closing the parent's sockets.
"""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from hub.core.errors import ConfigError
from hub.core.settings import Settings, get_settings

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
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        # A server restart kills pooled connections; the ping turns the first error after it into a reconnect.
        pool_pre_ping=True,
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
