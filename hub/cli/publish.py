"""`hub publish`: publish one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hub.access.store import get_tenant_by_name
from hub.cli import store
from hub.cli.arguments import read_json
from hub.cli.connection import api
from hub.cli.output import as_json_option, show_json
from hub.core.ids import Kind, format_id
from hub.db.engine import get_engine

if TYPE_CHECKING:
    from hub.client.encoding import Json


@click.command()
@click.argument("type_", metavar="TYPE")
@click.argument("data", callback=read_json)
@click.option("--id", "event_id", help="Your own id: publishing it twice is one event.")
@click.option(
    "--tenant",
    metavar="NAME|ID",
    help="Publish for this tenant straight into HUB_DATABASE_URL, without an API key.",
)
@as_json_option
def publish(type_: str, data: Json, event_id: str | None, tenant: str | None, as_json: bool) -> None:
    """Publish an event of TYPE with DATA: JSON, `@file`, or `-` for standard input.

    Receivers get the bytes of DATA as they are.
    """
    if tenant is None:
        with api() as hub:
            receipt = dict(hub.publish(type_, data, id=event_id))
    else:
        with get_engine().begin() as conn:
            owner = tenant
            if not tenant.startswith(f"{Kind.TENANT.value}_"):
                owner = format_id(Kind.TENANT, get_tenant_by_name(conn, tenant).id)
            made = store.publish_event(conn, owner, type_, data, event_id)
        receipt = {"id": made, "status": "accepted"}
    if as_json:
        show_json(receipt)
    else:
        click.echo(f"{receipt['id']} {receipt['status']}")
