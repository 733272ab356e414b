"""`hub replay`: send events again, and look after the jobs that do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hub.cli.arguments import read_json
from hub.cli.connection import api
from hub.cli.moments import read_past
from hub.cli.nouns import ENDPOINT, EVENT, REPLAY, find
from hub.cli.output import as_json_option, console, page_options, show_found, show_json, show_page, show_rows
from hub.client.http import HttpClient

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.results import Replay, ReplayDetail, ReplayDryRun, ReplayKind

F = TypeVar("F", bound=Callable[..., Any])

_STATES = ("failed", "expired", "cancelled", "skipped", "done", "due")
#: Seconds between two looks at a job.
_LOOK = 0.5
#: Looks without any news after which what was sent waits for a later try.
_STILL = 10
_COLUMNS: Columns = {
    "id": "id",
    "kind": "kind",
    "state": "state",
    "endpoint": "endpoint",
    "progress": lambda row: f"{row['progress']:.0%}",
    "requeued": "requeued",
    "created": "created_at",
}
_DRY_RUN_COLUMNS: Columns = {"endpoint": "endpoint", "state": "state", "count": "count"}


@click.group()
def replay() -> None:
    """Send events again, at a rate: what failed, what is missing, or what a filter chooses."""


_SHARED = (
    click.option("--endpoint", help="Only to this endpoint: its name or id.  [default: all]"),
    click.option(
        "--since", required=True, callback=read_past, help="Events accepted since: 2h, 7d, or a time."
    ),
    click.option("--until", callback=read_past, help="And before: 1h, or a time.  [default: now]"),
    click.option("--type", "event_types", multiple=True, help="Only this event type, or a prefix: invoice.*"),
    click.option("--label", "labels", multiple=True, help="Only events with one of these labels."),
    click.option("--filter", callback=read_json, help="Only events for which it holds: JSON, @file or -."),
    click.option("--rate", type=float, help="Deliveries a second.  [default: 100]"),
    click.option("--dry-run", is_flag=True, help="Count, send nothing."),
    click.option("--follow", is_flag=True, help="Show how it goes until it is over."),
    as_json_option,
)
_ENDS = (
    click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice(_STATES),
        help="Deliveries that ended so, or are due: they wait for a retry.  [default: failed]",
    ),
    click.option("--response", multiple=True, help="Whose last answer was: 5xx, 404, or none."),
)


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@replay.command()
@_options(*_ENDS, *_SHARED)
def failed(**given: Any) -> None:
    """Deliveries that failed."""
    _start("failed", **given)


@replay.command()
@_options(*_SHARED)
def missing(**given: Any) -> None:
    """Events that an endpoint takes now and never got: it is newer, or subscribed later."""
    _start("missing", **given)


@replay.command("filter")
@_options(*_ENDS, *_SHARED)
def filter_(**given: Any) -> None:
    """Deliveries that a filter chooses, also such that were done."""
    _start("filter", **given)


@replay.command("all")
@_options(*_SHARED)
def all_(**given: Any) -> None:
    """Every event again, to every endpoint that takes it now."""
    _start("all", **given)


@replay.command()
@click.argument("event_id", metavar="EVENT", callback=EVENT.read)
@click.option("--endpoint", help="Only to this endpoint: its name or id.  [default: all that take it]")
@as_json_option
def event(event_id: str, endpoint: str | None, as_json: bool) -> None:
    """One event."""
    with api() as hub:
        to = endpoint and find(hub, ENDPOINT, endpoint)
        sent = hub.resend_event(event_id, endpoint=to)
    show_found(sent, as_json=as_json, line=f"{sent['event']} {len(sent['deliveries'])} deliveries are due")


@replay.command("list")
@page_options
def list_(as_json: bool, **paging: Any) -> None:
    """List replays, newest first."""
    with api() as hub:
        page = hub.list_replays(**paging)
    show_page(page, _COLUMNS, as_json=as_json)


@replay.command()
@click.argument("replay_id", metavar="REPLAY", callback=REPLAY.read)
@click.option("--follow", is_flag=True, help="Show how it goes until it is over.")
@as_json_option
def status(replay_id: str, follow: bool, as_json: bool) -> None:
    """Show a replay, and what became of what it sent."""
    with api() as hub:
        found = _follow(hub, replay_id) if follow else hub.get_replay(replay_id)
    _show(found, as_json=as_json)


def _steering(verb: str, steer: Callable[[HttpClient, str], Replay], line: str) -> None:
    @replay.command(verb, help=line)
    @click.argument("replay_id", metavar="REPLAY", callback=REPLAY.read)
    @as_json_option
    def command(replay_id: str, as_json: bool) -> None:
        with api() as hub:
            found = steer(hub, replay_id)
        show_found(found, as_json=as_json, line=f"{found['id']} {found['state']}")


_steering("pause", HttpClient.pause_replay, "Pause a replay; what is due already is still sent.")
_steering("resume", HttpClient.resume_replay, "Let a paused replay go on where it stopped.")
_steering("cancel", HttpClient.cancel_replay, "End a replay; what is due already is still sent.")


# -- what they share ------------------------------------------------------------------------------------------------


def _start(kind: ReplayKind, *, dry_run: bool, follow: bool, as_json: bool, **given: Any) -> None:
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    with api() as hub:
        if "endpoint" in chosen:
            chosen["endpoint"] = find(hub, ENDPOINT, chosen["endpoint"])
        if dry_run:
            _show_dry_run(hub.try_replay(kind, **chosen), as_json=as_json)
            return
        made = hub.create_replay(kind, **chosen)
        if follow:
            _show(_follow(hub, made["id"]), as_json=as_json)
            return
    line = f"{made['id']} {made['state']}: hub replay status {made['id']} --follow"
    show_found(made, as_json=as_json, line=line)


def _follow(hub: HttpClient, replay_id: str) -> ReplayDetail:
    """Look until it is over and what it sent has arrived, or does not move any more; shows it on standard error."""
    still = 0
    before: dict[str, int] | None = None
    with console(stderr=True).status("") as line:
        while True:
            found = hub.get_replay(replay_id)
            line.update(_progress(found))
            still = still + 1 if found["outcomes"] == before else 0
            before = found["outcomes"]
            on_its_way = {"due", "leased"} & before.keys() and not found["held_endpoints"] and still < _STILL
            if found["state"] not in ("pending", "running") and not on_its_way:
                return found
            time.sleep(_LOOK)


def _progress(found: ReplayDetail) -> str:
    outcomes = ", ".join(f"{n} {state}" for state, n in sorted(found["outcomes"].items()))
    total = "?" if found["estimated_total"] is None else found["estimated_total"]
    return (
        f"{found['state']} {found['progress']:.0%}: {found['requeued']} of about {total} are sent again"
        + (f" ({outcomes})" if outcomes else "")
    )


def _show(found: ReplayDetail, *, as_json: bool) -> None:
    show_found(found, as_json=as_json)
    if found["held_endpoints"] and not as_json:
        click.echo("Some endpoints are not active or failing: what is for them waits.", err=True)


def _show_dry_run(found: ReplayDryRun, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    show_rows(found["counts"], _DRY_RUN_COLUMNS)
    more = "" if found["complete"] else " at least: the count was stopped"
    click.echo(
        f"{found['total']} deliveries would be sent again{more} ({found['scanned']} rows were looked at)."
    )
    if found["waiting"]:
        click.echo(f"{found['waiting']} more wait for a retry: with --state due they go now.", err=True)
