"""`hub integrations`: look after integrations, their versions, and the files that declare them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import click

from hub.cli.applying import apply
from hub.cli.arguments import read_object
from hub.cli.changes import show_changes
from hub.cli.connecting import connect, disconnect, grant
from hub.cli.connection import api
from hub.cli.exporting import export
from hub.cli.fixtures import check
from hub.cli.kinds import kinds
from hub.cli.nouns import INTEGRATION, find
from hub.cli.output import (
    as_json_option,
    moment,
    page_options,
    show_deleted,
    show_found,
    show_json,
    show_page,
    show_rows,
)
from hub.integrations.registry.kinds import Status, Type

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.results import IntegrationTest, UsageOfPeriod

_COLUMNS: Columns = {
    "id": "id",
    "name": "name",
    "type": "type",
    "protocol": "protocol",
    "status": "status",
    "auth": lambda row: row["auth"]["mode"],
    "operations": lambda row: len(row["operations"]),
    "tags": lambda row: ", ".join(row["tags"]),
    "version": "version",
    "base_url": "base_url",
}
_VERSION_COLUMNS: Columns = {"version": "version", "changed by": "changed_by", "at": "created_at"}
_USAGE_COLUMNS: Columns = {
    "period": "period",
    "since": "begins",
    "calls": lambda row: _of(row["calls"], row["calls_limit"]),
    "bytes": lambda row: _of(row["bytes"], row["bytes_limit"]),
}
_ALERT_COLUMNS: Columns = {
    "alert": "name",
    "firing": "firing",
    "since": lambda row: moment(row["since"]),
    "value": "value",
}
_integration_argument = click.argument("integration", metavar="INTEGRATION")


@click.group()
def integrations() -> None:
    """Look after integrations. INTEGRATION is a name or an id (`int_…`)."""


for _command in (apply, export, kinds, check, connect, disconnect, grant):
    integrations.add_command(_command)


@integrations.command("list")
@click.option("--status", type=click.Choice(get_args(Status)))
@click.option("--type", "type", type=click.Choice(get_args(Type)))
@click.option("--tag", multiple=True, help="Only those with this tag; repeatable.")
@click.option("--search", help="Only those with this text in name or description.")
@page_options
def list_(tag: tuple[str, ...], as_json: bool, **query: Any) -> None:
    """List integrations, newest first."""
    with api() as hub:
        page = hub.list_integrations(tag=list(tag) or None, **query)
    show_page(page, _COLUMNS, as_json=as_json)


@integrations.command()
@_integration_argument
@click.option("--version", type=click.IntRange(1), help="As it was then: its document.")
@as_json_option
def show(integration: str, version: int | None, as_json: bool) -> None:
    """Show an integration; of its secrets only their ends."""
    with api() as hub:
        key = find(hub, INTEGRATION, integration)
        if version is None:
            show_found(hub.get_integration(key), as_json=as_json)
        else:
            found = hub.get_integration_version(key, version)
            show_found(found if as_json else found["document"], as_json=as_json)


@integrations.command("test")
@_integration_argument
@click.argument("operation", required=False)
@click.option("--input", "given", callback=read_object, help="Of the operation: JSON, @file or -.")
@as_json_option
def test_(integration: str, operation: str | None, given: dict[str, Any], as_json: bool) -> None:
    """Make one real call now: OPERATION, or the health check. Nothing is recorded; exit 1 unless it succeeded."""
    with api() as hub:
        made = hub.test_integration(find(hub, INTEGRATION, integration), operation, given)
    if as_json:
        show_json(made)
    else:
        _show_test(made)
    if not made["ok"]:
        raise click.exceptions.Exit(1)


@integrations.command()
@_integration_argument
@click.option("--before", type=click.IntRange(1), help="Only versions below this one.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@as_json_option
def versions(integration: str, before: int | None, limit: int, as_json: bool) -> None:
    """List the versions of an integration, newest first."""
    with api() as hub:
        found = hub.list_integration_versions(find(hub, INTEGRATION, integration), before=before, limit=limit)
    if as_json:
        show_json(found)
    else:
        show_rows(found, _VERSION_COLUMNS)


@integrations.command()
@_integration_argument
@click.argument("version", type=click.IntRange(1))
@click.argument("to", type=click.IntRange(1), required=False)
@click.option("--exit-code", is_flag=True, help="Exit 1 if they differ.")
@as_json_option
def diff(integration: str, version: int, to: int | None, exit_code: bool, as_json: bool) -> None:
    """Show what changed from VERSION to TO, or to the present one."""
    with api() as hub:
        found = hub.compare_integration_versions(find(hub, INTEGRATION, integration), version, to)
    if as_json:
        show_json(found)
    else:
        show_changes(found["changes"])
    if exit_code and found["changes"]:
        raise click.exceptions.Exit(1)


@integrations.command()
@_integration_argument
@click.argument("version", type=click.IntRange(1))
@as_json_option
def rollback(integration: str, version: int, as_json: bool) -> None:
    """Make VERSION the present one, as a new version. Secrets stay those of today."""
    with api() as hub:
        key = find(hub, INTEGRATION, integration)
        found = hub.roll_back_integration(key, version)
        if not as_json and found["version"] > 1:
            show_changes(hub.compare_integration_versions(key, found["version"] - 1)["changes"])
    line = f"{found['id']} is as in version {version}, at version {found['version']}"
    show_found(found, as_json=as_json, line=line)


@integrations.command()
@_integration_argument
@click.option("--version", type=click.IntRange(1), help="Only if it is still this version.")
@as_json_option
def delete(integration: str, version: int | None, as_json: bool) -> None:
    """Delete an integration and its secrets. Its executions stay readable; those that wait will fail."""
    with api() as hub:
        key = find(hub, INTEGRATION, integration)
        hub.delete_integration(key, version=version)
    show_deleted(key, as_json=as_json)


@integrations.command()
@_integration_argument
@as_json_option
def usage(integration: str, as_json: bool) -> None:
    """Show what was used of an integration's quota."""
    with api() as hub:
        found = hub.get_integration_usage(find(hub, INTEGRATION, integration))
    if as_json:
        show_json(found)
        return
    if not found["counted"]:
        click.echo("It has no quota, so nothing is counted.", err=True)
    periods: list[tuple[str, UsageOfPeriod]] = [("day", found["day"]), ("month", found["month"])]
    show_rows([{"period": name, **one} for name, one in periods], _USAGE_COLUMNS)


@integrations.command()
@_integration_argument
@as_json_option
def alerts(integration: str, as_json: bool) -> None:
    """Show an integration's alerts, whether they fire, and with which value that began."""
    with api() as hub:
        found = hub.list_integration_alerts(find(hub, INTEGRATION, integration))
    if as_json:
        show_json(found)
    else:
        show_rows(found, _ALERT_COLUMNS)


def _of(used: int, limit: int | None) -> str:
    return str(used) if limit is None else f"{used} of {limit}"


def _show_test(made: IntegrationTest) -> None:
    """What came, on standard output; how it went, beside it."""
    error = made["error"]
    ended = "ok" if error is None else f"{error['type']}: {error['message']}"
    status = "" if made["status"] is None else f" status {made['status']},"
    click.echo(f"{ended} ({status.lstrip()} {made['latency_ms']:.0f} ms)".replace("( ", "("), err=True)
    data = made["result"]["data"]
    if data not in (None, ""):
        click.echo(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))
