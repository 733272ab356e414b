"""`hub executions`: list, show, cancel, repeat and record executions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_json, read_object
from hub.cli.attempts import show_with_attempts
from hub.cli.connection import api
from hub.cli.fixtures import record
from hub.cli.moments import read_past
from hub.cli.nouns import BATCH, EVENT, EXECUTION, FLOW, INTEGRATION, SCHEDULE, find
from hub.cli.output import as_json_option, page_options, show_found, show_page
from hub.cli.waiting import answer_of, show_answer, wait_option
from hub.db.states import State

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.encoding import Json

_COLUMNS: Columns = {
    "id": "id",
    "operation": "operation",
    "state": "state",
    "reason": "reason",
    "status": "status",
    "error": lambda row: None if row["error"] is None else row["error"]["type"],
    "attempts": "attempts",
    "ms": lambda row: row["metrics"]["latency_ms"],
    "created": "created_at",
}
_execution_argument = click.argument("execution_id", metavar="EXECUTION", callback=EXECUTION.read)
_batch_argument = click.argument("batch_id", metavar="BATCH", callback=BATCH.read)


@click.group()
def executions() -> None:
    """List, show, cancel, repeat and record executions."""


executions.add_command(record)


@executions.command("list")
@click.option("--integration", help="Only those of this integration: its name or id.")
@click.option("--operation", help="Only those of this operation.")
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--error-class", help="Only those that failed so, such as timeout or http_5xx.")
@click.option("--status", type=click.IntRange(0, 999), help="Only those that the service answered so.")
@click.option("--batch", callback=BATCH.read, help="Only those of this batch.")
@click.option("--schedule", help="Only those of this schedule: its name or id.")
@click.option("--flow", help="Only those of this flow: its name or id.")
@click.option("--event", callback=EVENT.read, help="Only those that this event started.")
@click.option("--user", help="Only those on behalf of this user.")
@click.option("--since", callback=read_past, help="Accepted since: 2h, 7d, or a time.")
@click.option("--until", callback=read_past, help="And before: 1h, or a time.")
@page_options
def list_(
    integration: str | None, schedule: str | None, flow: str | None, as_json: bool, **query: Any
) -> None:
    """List executions, newest first."""
    with api() as hub:
        of = integration and find(hub, INTEGRATION, integration)
        by = schedule and find(hub, SCHEDULE, schedule)
        through = flow and find(hub, FLOW, flow)
        page = hub.list_executions(integration=of, schedule=by, flow=through, **query)
    show_page(page, _COLUMNS, as_json=as_json)


@executions.command()
@_execution_argument
@as_json_option
def show(execution_id: str, as_json: bool) -> None:
    """Show an execution with its result and every attempt."""
    with api() as hub:
        found = hub.get_execution(execution_id)
    show_with_attempts(found, as_json=as_json)


@executions.command()
@_execution_argument
@as_json_option
def cancel(execution_id: str, as_json: bool) -> None:
    """Cancel an execution that is not finished. A call under way is cut off; whether it arrived is unknown."""
    with api() as hub:
        found = hub.cancel_execution(execution_id)
    show_found(found, as_json=as_json, line=f"{found['id']} {found['state']}")


@executions.command()
@_execution_argument
@click.option("--operation", help="In place of its own.")
@click.option("--input", "given", callback=read_object, help="In place of its own: JSON, @file or -.")
@wait_option
@as_json_option
def replay(
    execution_id: str, operation: str | None, given: dict[str, Any] | None, wait: float | None, as_json: bool
) -> None:
    """Make an execution once more, as a new one."""
    with api() as hub:
        answer = answer_of(
            hub,
            lambda seconds: hub.replay_execution(
                execution_id, operation=operation, input=given, wait=seconds
            ),
            wait,
        )
    show_answer(answer, wait, as_json=as_json)


@executions.group()
def batch() -> None:
    """Execute many operations at once, and see how far they are."""


@batch.command()
@click.argument("integration", metavar="INTEGRATION")
@click.argument("items", callback=read_json)
@as_json_option
def submit(integration: str, items: Json, as_json: bool) -> None:
    """Execute up to 1,000 operations: all are accepted, or none.

    ITEMS is a JSON list, `@file`, or `-` for standard input: [{"operation": "get_user", "input": {…}}, …]
    """
    found = json.loads(items)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise click.UsageError("ITEMS must be a JSON list of objects.")
    with api() as hub:
        made = hub.execute_many(find(hub, INTEGRATION, integration), found)
    line = f"{made['id']} {len(made['data'])} executions: hub executions batch show {made['id']}"
    show_found(made, as_json=as_json, line=line)


@batch.command("show")
@_batch_argument
@as_json_option
def show_batch(batch_id: str, as_json: bool) -> None:
    """Show how far a batch is. Its executions: `hub executions list --batch BATCH`."""
    with api() as hub:
        found = hub.get_batch(batch_id)
    show_found(found, as_json=as_json)
