"""`hub publish`: publish one event, or see what publishing it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli import store
from hub.cli.arguments import read_json
from hub.cli.connection import Refused, api
from hub.cli.moments import read_coming
from hub.cli.output import as_json_option, show_found, show_json, show_rows
from hub.cli.tenancy import METAVAR, find_tenant
from hub.core.errors import FieldError
from hub.core.ids import Kind, format_id
from hub.db.engine import get_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.cli.output import Columns
    from hub.client.encoding import Json
    from hub.client.results import DryRun, ReceiptField

_COLUMNS: Columns = {
    "endpoint": "endpoint",
    "name": "name",
    "would send": "would_send",
    "reason": "reason",
    "message": "message",
}


@click.command()
@click.argument("type_", metavar="TYPE")
@click.argument("data", callback=read_json)
@click.option("--id", "id", help="Your own id: publishing it twice is one event.")
@click.option("--label", "labels", multiple=True, help="Endpoints that ask for it get the event; repeatable.")
@click.option("--ordering-key", help="Events of one key reach endpoints with strict ordering in their order.")
@click.option(
    "--deliver-at",
    metavar="2h|TIME",
    callback=read_coming,
    help="Not before: so long from now, or a time with its offset.",
)
@click.option(
    "--expires-at",
    metavar="2h|TIME",
    callback=read_coming,
    help="What is not delivered by then is not sent any more.",
)
@click.option(
    "--dry-run", is_flag=True, help="Only tell which endpoints would get it; exit 1 if it is refused."
)
@click.option(
    "--tenant",
    metavar=METAVAR,
    help="Publish for this tenant straight into HUB_DATABASE_URL, without an API key.",
)
@as_json_option
def publish(
    type_: str,
    data: Json,
    labels: tuple[str, ...],
    dry_run: bool,
    tenant: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Publish an event of TYPE with DATA: JSON, `@file`, or `-` for standard input.

    Receivers get the bytes of DATA as they are.
    """
    options["labels"] = list(labels) or None
    if dry_run:
        if tenant is not None:
            raise click.UsageError("--dry-run asks the API: it cannot be combined with --tenant.")
        with api() as hub:
            _show_dry_run(hub.dry_run_event(type_, data, **options), as_json=as_json)
        return
    if tenant is None:
        with api() as hub:
            receipt: dict[str, Any] = dict(hub.publish(type_, data, **options))
    else:
        receipt = {"id": _publish_for(tenant, type_, data, options), "status": "accepted"}
    show_found(receipt, as_json=as_json, line=f"{receipt['id']} {receipt['status']}")
    if not as_json:
        _warn(receipt.get("warnings", ()))


def _publish_for(tenant: str, event_type: str, data: Json, options: dict[str, Any]) -> str:
    with get_engine().begin() as conn:
        owner = format_id(Kind.TENANT, find_tenant(conn, tenant).id)
        return store.publish_event(conn, owner, event_type, data, **options)


def _show_dry_run(found: DryRun, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_rows(found["endpoints"], _COLUMNS)
        getting = sum(one["would_send"] for one in found["endpoints"])
        click.echo(f"{getting} endpoints would get it. {found['others']} others were not asked.")
        _warn(found["warnings"])
        click.echo("This was a dry run: nothing was written or sent.", err=True)
    if not found["accepted"]:
        raise Refused(
            "The event would be refused.",
            fields=tuple(FieldError(one["path"], one["message"]) for one in found["errors"]),
        )


def _warn(warnings: Sequence[ReceiptField]) -> None:
    for one in warnings:
        click.echo(f"Warning: {one['path']}: {one['message']}", err=True)
