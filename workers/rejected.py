"""Keeps messages that no task understands where a person can find them, and keeps the worker alive."""

from __future__ import annotations

import json
import logging
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from hub.core.ids import new_uuid
from hub.core.logging import mask
from hub.core.settings import get_settings
from hub.db.engine import require_database_url
from hub.queue import store

log = logging.getLogger(__name__)
_EXCERPT = 2048


def record(*, task: str | None, queue: str | None, reason: str, headers: Any, body: Any) -> None:
    """Write one row; a database that is away costs the record, never the worker.

    Args:
        task: the task's name as far as it could be read.
        queue: where it came from.
        reason: what is wrong with it.
        headers: the message's headers.
        body: the message's body; an excerpt is kept, masked.
    """
    # Cleaned before it is logged: a message's text could hold line breaks of its own, or what no terminal can show.
    task, queue, reason = (
        _clean(task or "", 200) or None,
        _clean(queue or "", 200) or None,
        _clean(reason, 1000),
    )
    log.warning(
        "Rejected a message of %s on %s: %s", task or "an unknown task", queue or "an unknown queue", reason
    )
    try:
        # Its own connection: this also runs in a worker's main process, whose connections a fork would share.
        engine = create_engine(_url(), poolclass=NullPool, connect_args={"connect_timeout": 2})
        with engine.begin() as conn:
            store.record_rejected(
                conn, new_uuid(), task=task, queue=queue, reason=reason,
                headers=json.dumps(_plain(headers)), body=_clean(_text(body), _EXCERPT),
            )  # fmt: skip
    except Exception:  # the worker must outlive any message
        log.exception("Could not record a rejected message.")


def _url() -> str:
    return (
        require_database_url(get_settings())
        .replace("postgresql://", "postgresql+psycopg://", 1)
        .replace("postgres://", "postgresql+psycopg://", 1)
    )


def _text(body: Any) -> str:
    if isinstance(body, bytes | memoryview):
        return bytes(body).decode(errors="replace")
    return body if isinstance(body, str) else json.dumps(body, default=str)


def _clean(text: str, limit: int) -> str:
    """Without credentials, line breaks, and what Postgres cannot store: U+0000 and lone surrogates."""
    return (
        mask(text[:limit])
        .replace("\0", "�")
        .replace("\r", " ")
        .replace("\n", " ")
        .encode(errors="replace")
        .decode()
    )


def _plain(headers: Any) -> Any:
    kept = ("id", "task", "lang", "origin", "eta", "retries")
    return (
        {k: _clean(str(headers[k]), 200) for k in kept if k in headers} if isinstance(headers, dict) else {}
    )
