"""`hub deliveries`: list, show and resend webhook deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.attempts import show_with_attempts
from hub.cli.connection import api
from hub.cli.nouns import DELIVERY, ENDPOINT, EVENT, find
from hub.cli.output import as_json_option, page_options, show_found, show_page
from hub.db.states import State

if TYPE_CHECKING:
    from hub.cli.output import Columns

_COLUMNS: Columns = {
    "id": "id",
    "event": "event",
    "endpoint": "endpoint",
    "state": "state",
    "reason": "reason",
    "attempts": "attempts",
    "created": "created_at",
}


@click.group()
def deliveries() -> None:
    """List, show and resend webhook deliveries."""


@deliveries.command("list")
@click.option("--event", callback=EVENT.read, help="Only those of this event, msg_….")
@click.option("--endpoint", help="Only those to this endpoint: its name or id.")
@click.option("--state", type=click.Choice([state.value for state in State]))
@page_options
def list_(event: str | None, endpoint: str | None, state: str | None, as_json: bool, **paging: Any) -> None:
    """List deliveries, newest first."""
    if event is not None and (endpoint is not None or state is not None):
        raise click.UsageError("--event cannot be combined with --endpoint or --state.")
    with api() as hub:
        to = endpoint and find(hub, ENDPOINT, endpoint)
        page = hub.list_deliveries(event=event, endpoint=to, state=state, **paging)
    show_page(page, _COLUMNS, as_json=as_json)


@deliveries.command()
@click.argument("delivery_id", metavar="DELIVERY", callback=DELIVERY.read)
@as_json_option
def show(delivery_id: str, as_json: bool) -> None:
    """Show a delivery with every attempt."""
    with api() as hub:
        found = hub.get_delivery(delivery_id)
    show_with_attempts(found, as_json=as_json)


@deliveries.command()
@click.argument("delivery_id", metavar="DELIVERY", callback=DELIVERY.read)
@as_json_option
def resend(delivery_id: str, as_json: bool) -> None:
    """Send a delivery again: same bytes, same webhook-id, a new signature."""
    with api() as hub:
        found = hub.resend_delivery(delivery_id)
    show_found(found, as_json=as_json, line=f"{found['id']} {found['state']}")
