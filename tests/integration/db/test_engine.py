"""Pooled connections that the server has closed meanwhile."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from hub.db import engine as module
from hub.db.engine import make_engine


def test_a_connection_that_rested_is_asked_before_it_is_used(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(database_url, pool_size=1)
    other = make_engine(database_url, pool_size=1)

    def cut() -> None:
        with engine.connect() as conn:
            pid = conn.scalar(text("SELECT pg_backend_pid()"))
        with other.connect() as conn:
            assert conn.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    try:
        monkeypatch.setattr(module, "_RESTED", 0.0)
        cut()
        with engine.connect() as conn:
            assert conn.scalar(text("SELECT 1")) == 1
        # What was in use a moment ago is not asked: its first statement fails, and the next connection is new.
        monkeypatch.setattr(module, "_RESTED", 3600.0)
        cut()
        with pytest.raises(OperationalError), engine.connect() as conn:
            conn.execute(text("SELECT 1"))
        with engine.connect() as conn:
            assert conn.scalar(text("SELECT 1")) == 1
    finally:
        engine.dispose()
        other.dispose()
