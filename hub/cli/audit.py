"""`hub audit`: who changed what, and which calls were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.connection import api
from hub.cli.output import moment, page_options, show_page

if TYPE_CHECKING:
    from hub.cli.output import Columns

_COLUMNS: Columns = {
    "id": "id",
    "at": lambda row: moment(row["at"]),
    "action": "action",
    "subject": "subject",
    "actor": lambda row: row["actor"] or "the hub or its operator",
    "details": lambda row: row["details"] or None,
}


@click.group()
def audit() -> None:
    """Read the audit log."""


@audit.command("list")
@click.option("--subject", help="Only what happened to this: an id, such as int_….")
@click.option("--action", help="Only this, such as integration.changed or execution.refused.")
@page_options
def list_(as_json: bool, **query: Any) -> None:
    """List what was changed and which calls were refused, newest first. Needs a key with the scope `admin`."""
    with api() as hub:
        page = hub.list_audit(**query)
    show_page(page, _COLUMNS, as_json=as_json)
