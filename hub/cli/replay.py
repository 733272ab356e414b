"""`hub replay`: send events again, and look after the jobs that do it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import click

from hub.cli.arguments import read_json
from hub.cli.connection import api, api_url
from hub.cli.output import (
    as_json_option,
    console,
    cursor_option,
    limit_option,
    moment,
    show_json,
    show_more,
    show_record,
    show_table,
)
from hub.client.encoding import to_json
from hub.client.transport import Transport
from hub.core.ids import new_uuid

F = TypeVar("F", bound=Callable[..., Any])

_AGO = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ENDED = ("failed", "expired", "cancelled", "skipped", "done")
#: Seconds between two looks at a job.
_LOOK = 0.5
#: Looks without any news after which what was sent waits for a later try.
_STILL = 10


@click.group()
def replay() -> None:
    """Send events again, at a rate: what failed, what is missing, or what a filter chooses."""


def moment_of(text: str, now: datetime) -> str:
    """A time as people write it: `2h` (ago), or RFC 3339.

    Args:
        text: what was written.
        now: what `ago` counts from.

    Raises:
        click.BadParameter: it is neither.
    """
    if ago := _AGO.fullmatch(text):
        return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter(
            f"{text!r}: expected how long ago, such as 90m, 2h or 7d, or a time with its offset, such as"
            " 2026-11-22T18:00:00Z"
        )
    return at.isoformat()


def _read_moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    return None if value is None else moment_of(value, datetime.now(UTC))


_SHARED = (
    click.option("--endpoint", help="Only to this endpoint, ep_….  [default: all]"),
    click.option(
        "--since", required=True, callback=_read_moment, help="Events accepted since: 2h, 7d, or a time."
    ),
    click.option("--until", callback=_read_moment, help="And before: 1h, or a time.  [default: now]"),
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
        type=click.Choice(_ENDED),
        help="Deliveries that ended so.  [default: failed]",
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
@click.argument("event_id")
@click.option("--endpoint", help="Only to this endpoint, ep_….  [default: all that take it]")
@as_json_option
def event(event_id: str, endpoint: str | None, as_json: bool) -> None:
    """One event."""
    with _hub() as ask:
        sent = ask("POST", f"/v1/events/{_part(event_id)}/resend", {"endpoint": endpoint})
    if as_json:
        show_json(sent)
    else:
        click.echo(f"{sent['event']} {len(sent['deliveries'])} deliveries are due")


@replay.command("list")
@limit_option
@cursor_option
@as_json_option
def list_(limit: int, cursor: str | None, as_json: bool) -> None:
    """List replays, newest first."""
    with _hub() as ask:
        page = ask("GET", "/v1/replays", limit=limit, cursor=cursor)
    if as_json:
        show_json(page)
        return
    show_table(
        ("id", "kind", "state", "endpoint", "progress", "requeued", "created"),
        [
            (
                row["id"], row["kind"], row["state"], row["endpoint"], f"{row['progress']:.0%}", row["requeued"],
                moment(row["created_at"]),
            )
            for row in page["data"]
        ],
    )  # fmt: skip
    show_more(page)


@replay.command()
@click.argument("replay_id")
@click.option("--follow", is_flag=True, help="Show how it goes until it is over.")
@as_json_option
def status(replay_id: str, follow: bool, as_json: bool) -> None:
    """Show a replay, and what became of what it sent."""
    with _hub() as ask:
        path = f"/v1/replays/{_part(replay_id)}"
        found = _follow(ask, path) if follow else ask("GET", path)
    _show(found, as_json=as_json)


def _steering(verb: str, line: str) -> None:
    @replay.command(verb, help=line)
    @click.argument("replay_id")
    @as_json_option
    def command(replay_id: str, as_json: bool) -> None:
        with _hub() as ask:
            found = ask("POST", f"/v1/replays/{_part(replay_id)}/{verb}")
        if as_json:
            show_json(found)
        else:
            click.echo(f"{found['id']} {found['state']}")


_steering("pause", "Pause a replay; what is due already is still sent.")
_steering("resume", "Let a paused replay go on where it stopped.")
_steering("cancel", "End a replay; what is due already is still sent.")


# -- what they share ------------------------------------------------------------------------------------------------


def _start(kind: str, *, dry_run: bool, follow: bool, as_json: bool, **given: Any) -> None:
    body = {name: value for name, value in given.items() if value not in (None, ())}
    if "filter" in body:
        body["filter"] = json.loads(body["filter"])
    with _hub() as ask:
        found = ask("POST", "/v1/replays", {"kind": kind, "dry_run": dry_run, **body})
        if dry_run:
            show_json(found) if as_json else _show_dry_run(found)
            return
        path = f"/v1/replays/{found['id']}"
        if follow:
            found = _follow(ask, path)
    if as_json or follow:
        _show(found, as_json=as_json)
    else:
        click.echo(f"{found['id']} {found['state']}: hub replay status {found['id']} --follow")


def _follow(ask: Callable[..., Any], path: str) -> Any:
    """Look until it is over and what it sent has arrived, or does not move any more; shows it on standard error."""
    still = 0
    before: Any = None
    with console(stderr=True).status("") as line:
        while True:
            found = ask("GET", path)
            line.update(_progress(found))
            still = still + 1 if found["outcomes"] == before else 0
            before = found["outcomes"]
            on_its_way = {"due", "leased"} & before.keys() and not found["held_endpoints"] and still < _STILL
            if found["state"] not in ("pending", "running") and not on_its_way:
                return found
            time.sleep(_LOOK)


def _progress(found: Any) -> str:
    outcomes = ", ".join(f"{n} {state}" for state, n in sorted(found["outcomes"].items()))
    total = "?" if found["estimated_total"] is None else found["estimated_total"]
    return (
        f"{found['state']} {found['progress']:.0%}: {found['requeued']} of about {total} are sent again"
        + (f" ({outcomes})" if outcomes else "")
    )


def _show(found: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    show_record(found)
    if found.get("held_endpoints"):
        click.echo("Some endpoints are not active or failing: what is for them waits.", err=True)


def _show_dry_run(found: Any) -> None:
    show_table(
        ("endpoint", "state", "count"),
        [(row["endpoint"], row["state"], row["count"]) for row in found["counts"]],
    )
    more = "" if found["complete"] else " at least: the count was stopped"
    click.echo(
        f"{found['total']} deliveries would be sent again{more} ({found['scanned']} rows were looked at)."
    )


@contextmanager
def _hub() -> Iterator[Callable[..., Any]]:
    """Asks the API: method, path, body, and the query by name."""
    with api():  # it judges the address and the key, and makes a sentence of what goes wrong
        http = Transport(api_url(), os.environ["HUB_API_KEY"], timeout=30.0, retries=4)

        def ask(method: str, path: str, body: Any = None, **query: Any) -> Any:
            headers = {} if method == "GET" else {"Idempotency-Key": str(new_uuid())}
            text = None if body is None else to_json(body)
            return http.request(method, path, body=text, query=query, headers=headers, repeatable=True)[1]

        try:
            yield ask
        finally:
            http.close()


def _part(text: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(text, safe="") or "-"
