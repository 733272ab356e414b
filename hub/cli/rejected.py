"""`hub rejected`: broker messages that no task understood, from the hub's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hub.cli import store
from hub.cli.output import as_json_option, show_page
from hub.db.engine import get_engine

if TYPE_CHECKING:
    from uuid import UUID

    from hub.cli.output import Columns

_COLUMNS: Columns = {
    "at": "created_at",
    "task": "task",
    "queue": "queue",
    "reason": "reason",
    "headers": "headers",
    "body": "body_excerpt",
}


@click.group()
def rejected() -> None:
    """Show broker messages that no task understood; senders do not hear of them."""


@rejected.command("list")
@click.option("--limit", type=click.IntRange(1, 250), default=50, show_default=True)
@click.option("--cursor", type=click.UUID, help="`next_cursor` of the page before.")
@as_json_option
def list_(limit: int, cursor: UUID | None, as_json: bool) -> None:
    """List them, newest first: why, and what is known of the sender. Bodies are excerpts without credentials."""
    with get_engine().connect() as conn:
        rows = store.list_rejected(conn, limit + 1, cursor)
    data = [
        {
            "id": row.id.hex,
            "created_at": row.created_at.isoformat(),
            "task": row.task,
            "queue": row.queue,
            "reason": row.reason,
            "headers": row.headers,
            "body_excerpt": row.body_excerpt,
        }
        for row in rows[:limit]
    ]
    page = {"data": data, "next_cursor": data[-1]["id"] if len(rows) > limit else None}
    show_page(page, _COLUMNS, as_json=as_json)
