"""`hub executions`: list, show and cancel executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.attempts import show_with_attempts
from hub.cli.connection import api
from hub.cli.nouns import EXECUTION, INTEGRATION, find
from hub.cli.output import as_json_option, page_options, show_found, show_page
from hub.db.states import State

if TYPE_CHECKING:
    from hub.cli.output import Columns

_COLUMNS: Columns = {
    "id": "id",
    "operation": "operation",
    "state": "state",
    "reason": "reason",
    "status": "status",
    "attempts": "attempts",
    "ms": lambda row: row["metrics"]["latency_ms"],
    "created": "created_at",
}


@click.group()
def executions() -> None:
    """List, show and cancel executions."""


@executions.command("list")
@click.option("--integration", help="Only those of this integration: its name or id.")
@click.option("--state", type=click.Choice([state.value for state in State]))
@page_options
def list_(integration: str | None, as_json: bool, **query: Any) -> None:
    """List executions, newest first."""
    with api() as hub:
        of = integration and find(hub, INTEGRATION, integration)
        page = hub.list_executions(integration=of, **query)
    show_page(page, _COLUMNS, as_json=as_json)


@executions.command()
@click.argument("execution_id", metavar="EXECUTION", callback=EXECUTION.read)
@as_json_option
def show(execution_id: str, as_json: bool) -> None:
    """Show an execution with its result and every attempt."""
    with api() as hub:
        found = hub.get_execution(execution_id)
    show_with_attempts(found, as_json=as_json)


@executions.command()
@click.argument("execution_id", metavar="EXECUTION", callback=EXECUTION.read)
@as_json_option
def cancel(execution_id: str, as_json: bool) -> None:
    """Cancel an execution that is not finished. A call under way is not cut off; its result is dropped."""
    with api() as hub:
        found = hub.cancel_execution(execution_id)
    show_found(found, as_json=as_json, line=f"{found['id']} {found['state']}")
