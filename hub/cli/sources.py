"""`hub sources`: list and show sources, and what providers sent to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.connection import api
from hub.cli.nouns import REQUEST, SOURCE, find
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
    """List and show sources, and what providers sent to them. SOURCE is a name or an id (`src_…`)."""


@sources.command("list")
@page_options
def list_(as_json: bool, **paging: Any) -> None:
    """List sources, newest first."""
    with api() as hub:
        page = hub.list_sources(**paging)
    show_page(page, _COLUMNS, as_json=as_json)


@sources.command()
@click.argument("source", metavar="SOURCE")
@as_json_option
def show(source: str, as_json: bool) -> None:
    """Show a source; its secrets are never shown."""
    with api() as hub:
        found = hub.get_source(find(hub, SOURCE, source))
    show_found(found, as_json=as_json)


@sources.command()
@click.argument("source", metavar="SOURCE")
@click.argument("request_id", metavar="[REQUEST]", required=False, callback=REQUEST.read)
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="Only those with this outcome.")
@page_options
def requests(source: str, request_id: str | None, as_json: bool, **query: Any) -> None:
    """List what a provider sent, newest first, or show one request with its headers, body and verdict."""
    if request_id is not None:
        with api() as hub:
            found = hub.get_source_request(find(hub, SOURCE, source), request_id)
        show_found(found, as_json=as_json)
        return
    with api() as hub:
        page = hub.list_source_requests(find(hub, SOURCE, source), **query)
    show_page(page, _REQUEST_COLUMNS, as_json=as_json)
