"""`hub execute`: execute an operation of an integration."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_json
from hub.cli.connection import api
from hub.cli.nouns import INTEGRATION, find
from hub.cli.output import as_json_option, console, show_json, show_record
from hub.db.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.client.http import HttpClient

_POLL_SECONDS = 0.25
_LONGEST_WAIT = 60.0


def _read_object(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, Any]:
    text = read_json(ctx, param, value)
    given = {} if text is None else json.loads(text)
    if not isinstance(given, dict):
        raise click.BadParameter("must be a JSON object with `path`, `query`, `headers`, `body`")
    return given


@click.command()
@click.argument("integration", metavar="INTEGRATION")
@click.argument("operation")
@click.option(
    "--input",
    "given",
    callback=_read_object,
    help='JSON, @file or -; e.g. \'{"path": {"id": 42}}\'.',
)
@click.option(
    "--wait", type=click.FloatRange(0, 3600), help="Seconds to wait for the end; exit 1 unless it succeeded."
)
@as_json_option
def execute(
    integration: str, operation: str, given: dict[str, Any], wait: float | None, as_json: bool
) -> None:
    """Execute OPERATION of INTEGRATION, which is a name or an id (`int_…`)."""
    with api() as hub:
        chosen = find(hub, INTEGRATION, integration)
        if wait is None:
            answer: Mapping[str, Any] = hub.execute(chosen, operation, given)
        else:
            with console(stderr=True).status("Waiting for the result…"):
                answer = _execute_and_wait(hub, chosen, operation, given, wait)
    if as_json:
        show_json(answer)
    else:
        _show(answer)
    if wait is not None and answer["state"] != State.DONE:
        if not State(answer["state"]).finished:
            click.echo(
                f"hub: It has not ended after {wait:g} s; see `hub executions show {answer['id']}`.", err=True
            )
        raise click.exceptions.Exit(1)


def _execute_and_wait(
    hub: HttpClient, integration: str, operation: str, given: dict[str, Any], wait: float
) -> Mapping[str, Any]:
    deadline = time.monotonic() + wait
    answer: Mapping[str, Any] = hub.execute(integration, operation, given, wait=min(wait, _LONGEST_WAIT))
    while not State(answer["state"]).finished and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        answer = hub.get_execution(answer["id"])
    return answer


def _show(answer: Mapping[str, Any]) -> None:
    result = answer.get("result")
    if result is None:
        show_record({name: answer[name] for name in ("id", "state", "error") if name in answer})
        return
    click.echo(f"{answer['id']} {answer['state']} {result['status']}", err=True)
    data = result["data"]
    click.echo(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))
