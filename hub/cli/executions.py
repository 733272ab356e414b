"""`hub executions`: list, show and cancel executions."""

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
def executions() -> None:
    """List, show and cancel executions."""


@executions.command("list")
@click.option("--integration", help="Only those of this integration, int_….")
@click.option("--state", type=click.Choice([state.value for state in State]))
@limit_option
@cursor_option
@as_json_option
def list_(integration: str | None, state: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List executions, newest first."""
    with api() as hub:
        page = hub.list_executions(integration=integration, state=state, limit=limit, cursor=cursor)
    if as_json:
        show_json(page)
        return
    show_table(
        ("id", "operation", "state", "reason", "status", "attempts", "ms", "created"),
        [
            (
                row["id"], row["operation"], row["state"], row["reason"], row["status"], row["attempts"],
                row["metrics"]["latency_ms"], moment(row["created_at"]),
            )
            for row in page["data"]
        ],
    )  # fmt: skip
    show_more(page)


@executions.command()
@click.argument("execution_id")
@as_json_option
def show(execution_id: str, as_json: bool) -> None:
    """Show an execution with its result and every attempt."""
    with api() as hub:
        found = hub.get_execution(execution_id)
    if as_json:
        show_json(found)
        return
    show_record({name: value for name, value in found.items() if name != "attempt_log"})
    show_attempts(found["attempt_log"])


@executions.command()
@click.argument("execution_id")
@as_json_option
def cancel(execution_id: str, as_json: bool) -> None:
    """Cancel an execution that is not finished. A call under way is not cut off; its result is dropped."""
    with api() as hub:
        found = hub.cancel_execution(execution_id)
    if as_json:
        show_json(found)
    else:
        click.echo(f"{found['id']} {found['state']}")
