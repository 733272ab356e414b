"""Waiting for the end of an execution, and showing it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from hub.cli.output import console, show_json, show_record
from hub.db.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.client.http import HttpClient

_POLL_SECONDS = 0.25
_LONGEST_WAIT = 60.0

wait_option = click.option(
    "--wait", type=click.FloatRange(0, 3600), help="Seconds to wait for the end; exit 1 unless it succeeded."
)


def answer_of(
    hub: HttpClient, ask: Callable[[float | None], Mapping[str, Any]], wait: float | None
) -> Mapping[str, Any]:
    """Ask for an execution, and look until it has ended or the time is over.

    Args:
        hub: where it is made.
        ask: accepts it, given the seconds that the hub itself waits.
        wait: seconds; None does not wait.
    """
    if wait is None:
        return ask(None)
    deadline = time.monotonic() + wait
    with console(stderr=True).status("Waiting for the result…"):
        answer = ask(min(wait, _LONGEST_WAIT))
        while not State(answer["state"]).finished and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            answer = hub.get_execution(answer["id"])
    return answer


def show_answer(answer: Mapping[str, Any], wait: float | None, *, as_json: bool) -> None:
    """Show how it is; end with 1 when it was waited for and did not succeed."""
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


def _show(answer: Mapping[str, Any]) -> None:
    result = answer.get("result")
    if result is None:
        show_record({name: answer[name] for name in ("id", "state", "error") if name in answer})
        return
    click.echo(f"{answer['id']} {answer['state']} {result['status']}", err=True)
    if answer.get("error"):
        click.echo(f"{answer['error']['type']}: {answer['error']['message']}", err=True)
    data = result["data"]
    click.echo(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))
