"""`hub sources`: list and show sources, and what providers sent to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.connection import api
from hub.cli.output import as_json_option, page_options, show_found, show_page

if TYPE_CHECKING:
    from hub.cli.output import Columns

_OUTCOMES = ("accepted", "duplicate", "handshake", "rejected")
_COLUMNS: Columns = {
    "id": "id",
    "name": "name",
    "profile": lambda row: row["verifier"].get("profile"),
    "status": "status",
    "url": "url",
}
_REQUEST_COLUMNS: Columns = {
    "id": "id",
    "outcome": "outcome",
    "reason": "reason",
    "type": "provider_event_type",
    "event": "event",
    "bytes": "body_bytes",
    "at": "received_at",
}


@click.group()
def sources() -> None:
    """List and show sources, and what providers sent to them."""


@sources.command("list")
@page_options
def list_(as_json: bool, **paging: Any) -> None:
    """List sources, newest first."""
    with api() as hub:
        page = hub.list_sources(**paging)
    show_page(page, _COLUMNS, as_json=as_json)


@sources.command()
@click.argument("source_id")
@as_json_option
def show(source_id: str, as_json: bool) -> None:
    """Show a source; its secrets are never shown."""
    with api() as hub:
        found = hub.get_source(source_id)
    show_found(found, as_json=as_json)


@sources.command()
@click.argument("source_id")
@click.argument("request_id", required=False)
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="Only those with this outcome.")
@page_options
def requests(source_id: str, request_id: str | None, as_json: bool, **query: Any) -> None:
    """List what a provider sent, newest first, or show one request with its headers, body and verdict."""
    if request_id is not None:
        with api() as hub:
            found = hub.get_source_request(source_id, request_id)
        show_found(found, as_json=as_json)
        return
    with api() as hub:
        page = hub.list_source_requests(source_id, **query)
    show_page(page, _REQUEST_COLUMNS, as_json=as_json)
