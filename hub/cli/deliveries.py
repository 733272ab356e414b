"""`hub deliveries`: list, show and resend webhook deliveries."""

from __future__ import annotations

import click

from hub.cli.attempts import show_attempts
from hub.cli.connection import api
from hub.cli.output import (
    as_json_option,
    cursor_option,
    limit_option,
    moment,
    show_json,
    show_more,
    show_record,
    show_table,
)
from hub.db.states import State


@click.group()
def deliveries() -> None:
    """List, show and resend webhook deliveries."""


@deliveries.command("list")
@click.option("--event", help="Only those of this event, msg_….")
@click.option("--endpoint", help="Only those to this endpoint, ep_….")
@click.option("--state", type=click.Choice([state.value for state in State]))
@limit_option
@cursor_option
@as_json_option
def list_(
    event: str | None, endpoint: str | None, state: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List deliveries, newest first."""
    if event is not None and (endpoint is not None or state is not None):
        raise click.UsageError("--event cannot be combined with --endpoint or --state.")
    with api() as hub:
        page = hub.list_deliveries(event=event, endpoint=endpoint, state=state, limit=limit, cursor=cursor)
    if as_json:
        show_json(page)
        return
    show_table(
        ("id", "event", "endpoint", "state", "reason", "attempts", "created"),
        [
            (
                row["id"], row["event"], row["endpoint"], row["state"], row["reason"], row["attempts"],
                moment(row["created_at"]),
            )
            for row in page["data"]
        ],
    )  # fmt: skip
    show_more(page)


@deliveries.command()
@click.argument("delivery_id")
@as_json_option
def show(delivery_id: str, as_json: bool) -> None:
    """Show a delivery with every attempt."""
    with api() as hub:
        found = hub.get_delivery(delivery_id)
    if as_json:
        show_json(found)
        return
    show_record({name: value for name, value in found.items() if name != "attempt_log"})
    show_attempts(found["attempt_log"])


@deliveries.command()
@click.argument("delivery_id")
@as_json_option
def resend(delivery_id: str, as_json: bool) -> None:
    """Send a delivery again: same bytes, same webhook-id, a new signature."""
    with api() as hub:
        found = hub.resend_delivery(delivery_id)
    if as_json:
        show_json(found)
    else:
        click.echo(f"{found['id']} {found['state']}")
