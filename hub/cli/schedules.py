"""`hub schedules`: look after operations that are executed at times of the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_object
from hub.cli.connection import api
from hub.cli.moments import parse_duration
from hub.cli.nouns import INTEGRATION, SCHEDULE, find
from hub.cli.output import as_json_option, page_options, show_deleted, show_found, show_page

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.results import Schedule


def _when(row: Any) -> str:
    if row["cron"] is not None:
        return f"{row['cron']} {row['timezone']}"
    return f"every {row['every_seconds']:g} s"


_COLUMNS: Columns = {
    "id": "id",
    "name": "name",
    "operation": "operation",
    "when": _when,
    "paused": "paused",
    "next": "next_at",
    "last": "last_at",
}
_schedule_argument = click.argument("schedule", metavar="SCHEDULE")


@click.group()
def schedules() -> None:
    """Look after schedules of executions. SCHEDULE is a name or an id (`sch_…`)."""


@schedules.command("list")
@click.option("--integration", help="Only those of this integration: its name or id.")
@page_options
def list_(integration: str | None, as_json: bool, **paging: Any) -> None:
    """List schedules, newest first."""
    with api() as hub:
        of = integration and find(hub, INTEGRATION, integration)
        page = hub.list_schedules(integration=of, **paging)
    show_page(page, _COLUMNS, as_json=as_json)


@schedules.command()
@_schedule_argument
@as_json_option
def show(schedule: str, as_json: bool) -> None:
    """Show a schedule. What it started: `hub executions list --schedule SCHEDULE`."""
    with api() as hub:
        found = hub.get_schedule(find(hub, SCHEDULE, schedule))
    show_found(found, as_json=as_json)


def _read_interval(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    duration = parse_duration(value)
    if duration is None:
        raise click.BadParameter(
            f"{value!r}: expected seconds, minutes, hours or days, such as 90s, 15m, 2h or 1d"
        )
    return duration.total_seconds()


@schedules.command()
@click.argument("name")
@click.argument("integration", metavar="INTEGRATION")
@click.argument("operation")
@click.option("--cron", help="Five fields: minute hour day month weekday; e.g. '30 2 * * *'.")
@click.option("--timezone", help="Of --cron, such as Europe/Berlin.  [default: UTC]")
@click.option(
    "--every", "every_seconds", callback=_read_interval, help="In place of --cron: 90s, 15m, 2h, 1d."
)
@click.option("--input", callback=read_object, help="What the operation takes: JSON, @file or -.")
@click.option(
    "--overlap",
    type=click.Choice(["skip", "allow"]),
    help="When the one before has not finished.  [default: skip]",
)
@click.option("--paused", is_flag=True, default=None, help="Do not start it yet.")
@as_json_option
def create(name: str, integration: str, operation: str, as_json: bool, **fields: Any) -> None:
    """Make a schedule NAME that executes OPERATION of INTEGRATION."""
    if (fields["cron"] is None) == (fields["every_seconds"] is None):
        raise click.UsageError("Say when: either --cron or --every.")
    given = {field: value for field, value in fields.items() if value is not None}
    with api() as hub:
        made = hub.create_schedule(find(hub, INTEGRATION, integration), name, operation, **given)
    _show_switched(made, as_json=as_json)


@schedules.command()
@_schedule_argument
@as_json_option
def pause(schedule: str, as_json: bool) -> None:
    """Start nothing more; what was started goes on."""
    with api() as hub:
        found = hub.pause_schedule(find(hub, SCHEDULE, schedule))
    _show_switched(found, as_json=as_json)


@schedules.command()
@_schedule_argument
@as_json_option
def resume(schedule: str, as_json: bool) -> None:
    """Go on with the next time; those that passed are not made up for."""
    with api() as hub:
        found = hub.resume_schedule(find(hub, SCHEDULE, schedule))
    _show_switched(found, as_json=as_json)


@schedules.command()
@_schedule_argument
@as_json_option
def delete(schedule: str, as_json: bool) -> None:
    """Delete a schedule; what it started goes on."""
    with api() as hub:
        key = find(hub, SCHEDULE, schedule)
        hub.delete_schedule(key)
    show_deleted(key, as_json=as_json)


def _show_switched(found: Schedule, *, as_json: bool) -> None:
    state = "paused" if found["paused"] else f"next at {found['next_at']}"
    show_found(found, as_json=as_json, line=f"{found['id']} {state}")
