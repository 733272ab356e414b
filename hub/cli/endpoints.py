"""`hub endpoints`: list, show, make, pause, test, verify, rotate and import endpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_json
from hub.cli.connection import Refused, api
from hub.cli.nouns import ENDPOINT, find
from hub.cli.output import (
    as_json_option,
    page_options,
    show_deleted,
    show_found,
    show_json,
    show_page,
    show_record,
    show_rows,
)
from hub.core.errors import FieldError

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.encoding import Json
    from hub.client.results import EndpointSecret, EndpointSwitched

_COLUMNS: Columns = {
    "id": "id",
    "name": "name",
    "status": "status",
    "hold": "hold",
    "events": lambda row: ", ".join(row["event_types"]),
    "url": "url",
}
_IMPORT_COLUMNS: Columns = {
    "index": "index",
    "name": "name",
    "result": "result",
    "id": "id",
    "faults": lambda row: "; ".join(f"{fault['path']}: {fault['message']}" for fault in row["errors"]),
}
_endpoint_argument = click.argument("endpoint", metavar="ENDPOINT")
_discard_option = click.option(
    "--discard", is_flag=True, help="Cancel the deliveries that wait at this moment."
)


@click.group()
def endpoints() -> None:
    """Look after endpoints. ENDPOINT is a name or an id (`ep_…`)."""


@endpoints.command("list")
@page_options
def list_(as_json: bool, **paging: Any) -> None:
    """List endpoints, newest first."""
    with api() as hub:
        page = hub.list_endpoints(**paging)
    show_page(page, _COLUMNS, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@as_json_option
def show(endpoint: str, as_json: bool) -> None:
    """Show an endpoint and how it does; its secrets are never shown."""
    with api() as hub:
        found = hub.get_endpoint(find(hub, ENDPOINT, endpoint))
    show_found(found, as_json=as_json)


@endpoints.command()
@click.argument("name")
@click.argument("url")
@click.option("--event-type", "event_types", multiple=True, help="A type, `invoice.*` or `*`; repeatable.")
@click.option("--field", "fields", callback=read_json, help="Further fields of the API: a JSON object.")
@as_json_option
def create(name: str, url: str, event_types: tuple[str, ...], fields: Json | None, as_json: bool) -> None:
    """Make an endpoint NAME that posts to URL. Its signing secret is printed this once."""
    more = _object(fields)
    if event_types:
        more["event_types"] = list(event_types)
    with api() as hub:
        made = hub.create_endpoint(**{**more, "name": name, "url": url})
    _show_secret(made, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@click.argument("fields", callback=read_json)
@click.option("--version", type=int, help="Only if it is still this version.")
@as_json_option
def update(endpoint: str, fields: Json, version: int | None, as_json: bool) -> None:
    """Change an endpoint by FIELDS, a JSON object; what is left out stays."""
    with api() as hub:
        found = hub.update_endpoint(find(hub, ENDPOINT, endpoint), version=version, **_object(fields))
    show_found(found, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@as_json_option
def delete(endpoint: str, as_json: bool) -> None:
    """Delete an endpoint; what waits for it is cancelled."""
    with api() as hub:
        endpoint_id = find(hub, ENDPOINT, endpoint)
        hub.delete_endpoint(endpoint_id)
    show_deleted(endpoint_id, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@_discard_option
@as_json_option
def pause(endpoint: str, discard: bool, as_json: bool) -> None:
    """Hold what is for an endpoint."""
    with api() as hub:
        found = hub.pause_endpoint(find(hub, ENDPOINT, endpoint), discard=discard)
    _show_switched(found, discard=discard, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@_discard_option
@as_json_option
def resume(endpoint: str, discard: bool, as_json: bool) -> None:
    """Send what was held for an endpoint."""
    with api() as hub:
        found = hub.resume_endpoint(find(hub, ENDPOINT, endpoint), discard=discard)
    _show_switched(found, discard=discard, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@as_json_option
def verify(endpoint: str, as_json: bool) -> None:
    """Have the receiver answer a challenge."""
    with api() as hub:
        found = hub.verify_endpoint(find(hub, ENDPOINT, endpoint))
    show_found(found, as_json=as_json, line=f"{found['id']} verified, {found['status']}")


@endpoints.command("test")
@_endpoint_argument
@click.argument("data", callback=read_json, required=False)
@click.option("--type", "type_", help="Its event type.")
@click.option("--wait", type=click.FloatRange(0, 15), default=10.0, show_default=True, help="Seconds.")
@as_json_option
def test_(endpoint: str, data: Json | None, type_: str | None, wait: float, as_json: bool) -> None:
    """Send a test event to one endpoint and wait for the first attempt."""
    with api() as hub:
        sent = hub.test_endpoint(find(hub, ENDPOINT, endpoint), type=type_, data=data, wait=wait)
    show_found(sent, as_json=as_json)


@endpoints.command()
@_endpoint_argument
@click.option("--period", type=click.Choice(["1h", "24h", "7d", "30d"]), default="24h", show_default=True)
@as_json_option
def statistics(endpoint: str, period: str, as_json: bool) -> None:
    """Show how an endpoint does."""
    with api() as hub:
        found = hub.endpoint_statistics(find(hub, ENDPOINT, endpoint), period=period)
    show_found(found, as_json=as_json)


@endpoints.command("rotate-secret")
@_endpoint_argument
@click.option("--overlap", type=int, default=86_400, show_default=True, help="Seconds the old one signs too.")
@as_json_option
def rotate_secret(endpoint: str, overlap: int, as_json: bool) -> None:
    """Give an endpoint a new signing secret, which is printed this once."""
    with api() as hub:
        found = hub.rotate_endpoint_secret(find(hub, ENDPOINT, endpoint), overlap_seconds=overlap)
    _show_secret(found, as_json=as_json)


@endpoints.command("import")
@click.argument("specs", metavar="LIST", callback=read_json)
@click.option("--partial", is_flag=True, help="Make those that can be made.")
@click.option("--dry-run", is_flag=True, help="Only judge them.")
@as_json_option
def import_(specs: Json, partial: bool, dry_run: bool, as_json: bool) -> None:
    """Make many endpoints from LIST: a JSON list, `@file`, or `-` for standard input.

    Secrets that the hub made are in the JSON output only.
    """
    found = json.loads(specs)
    if not isinstance(found, list):
        raise click.UsageError("LIST must be a JSON list of endpoints.")
    with api() as hub:
        report = hub.import_endpoints(found, partial=partial, dry_run=dry_run)
    if as_json:
        show_json(report)
    else:
        show_rows(report["data"], _IMPORT_COLUMNS)
    if report["refused"] and not partial:
        raise Refused(
            f"{report['refused']} of {len(found)} endpoints are refused.",
            fields=(FieldError("endpoints", "see the output"),),
        )


def _object(fields: Json | None) -> dict[str, Any]:
    found = {} if fields is None else json.loads(fields)
    if not isinstance(found, dict):
        raise click.UsageError("The fields must be a JSON object.")
    return found


def _show_secret(found: EndpointSecret, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_record({name: found[name] for name in ("id", "name", "url", "status", "signing_secret")})


def _show_switched(found: EndpointSwitched, *, discard: bool, as_json: bool) -> None:
    cancelled = f", {found['discarded']} deliveries cancelled" if discard else ""
    show_found(found, as_json=as_json, line=f"{found['id']} {found['status']}{cancelled}")
