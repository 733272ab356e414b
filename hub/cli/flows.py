"""`hub flows`: look after events that start operations."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_json
from hub.cli.connection import Refused, api
from hub.cli.definition_files import read_definitions
from hub.cli.execute import LINK_COLUMNS
from hub.cli.nouns import FLOW, INTEGRATION, find
from hub.cli.output import (
    as_json_option,
    page_options,
    show_deleted,
    show_found,
    show_json,
    show_page,
    show_rows,
)
from hub.client import HubApiError
from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from hub.cli.definition_files import Definition
    from hub.cli.output import Columns
    from hub.client.encoding import Json
    from hub.client.results import Flow, FlowTest, Published

_COLUMNS: Columns = {
    "id": "id",
    "name": "name",
    "event types": lambda row: ", ".join(row["event_types"]),
    "integration": "integration",
    "operation": "operation",
    "publishes": lambda row: ", ".join(rule["event_type"] for rule in row["publish"]) or None,
    "paused": "paused",
}
_PUBLISHED: Columns = {
    "execution": "execution",
    "event type": "event_type",
    "event": "event",
    "why not": "why_not",
}
_AT_ONCE = 20
_flow_argument = click.argument("flow", metavar="FLOW")


@click.group()
def flows() -> None:
    """Look after flows: events that start operations. FLOW is a name or an id (`flw_…`)."""


@flows.command("list")
@click.option("--integration", help="Only those into this integration: its name or id.")
@page_options
def list_(integration: str | None, as_json: bool, **paging: Any) -> None:
    """List flows, newest first."""
    with api() as hub:
        into = integration and find(hub, INTEGRATION, integration)
        page = hub.list_flows(integration=into, **paging)
    show_page(page, _COLUMNS, as_json=as_json)


@flows.command()
@_flow_argument
@as_json_option
def show(flow: str, as_json: bool) -> None:
    """Show a flow. What it started: `hub executions list --flow FLOW`."""
    with api() as hub:
        found = hub.get_flow(find(hub, FLOW, flow))
    show_found(found, as_json=as_json)


@flows.command()
@click.argument("file", type=click.File("rb"))
@as_json_option
def create(file: IO[bytes], as_json: bool) -> None:
    """Make the flow that FILE (- for standard input) describes, in YAML or JSON.

    Its fields are those of the API; `integration` may be a name. Try it with `hub flows test`.
    """
    definition = _read(file)
    fields = dict(definition.value)
    with api() as hub:
        if isinstance(fields.get("integration"), str):
            fields["integration"] = find(hub, INTEGRATION, fields["integration"])
        missing = [name for name in ("name", "event_types", "integration", "operation") if name not in fields]
        if missing:
            faults = tuple(FieldError(f"{definition.where('')}: {name}", "is required") for name in missing)
            raise Invalid("The flow is not complete; nothing was made.", fields=faults)
        try:
            made = hub.create_flow(**fields)
        except HubApiError as error:
            if not error.errors:
                raise
            raise Refused(
                "The flow is refused; nothing was made.",
                fields=tuple(
                    FieldError(f"{definition.where(one.path)}: {one.path}", one.message)
                    for one in error.errors
                ),
            ) from None
    _show_switched(made, as_json=as_json)


@flows.command("test")
@_flow_argument
@click.argument("type_", metavar="TYPE")
@click.argument("data", required=False, callback=read_json)
@click.option("--label", "labels", multiple=True, help="That the event carries; repeatable.")
@as_json_option
def test_(flow: str, type_: str, data: Json | None, labels: tuple[str, ...], as_json: bool) -> None:
    """Show what an event of TYPE with DATA (JSON, `@file` or -) would start; exit 1 unless it would call.

    Nothing is written or sent.
    """
    with api() as hub:
        tried = hub.test_flow(find(hub, FLOW, flow), type_, data, labels=labels)
    if as_json:
        show_json(tried)
    else:
        _show_test(tried)
    if not tried["would_call"]:
        raise click.exceptions.Exit(1)


@flows.command()
@_flow_argument
@click.argument("executions", metavar="EXECUTION...", nargs=-1, required=True)
@click.option("--event-type", help="Only the flow's rules for this type.")
@as_json_option
def publish(flow: str, executions: tuple[str, ...], event_type: str | None, as_json: bool) -> None:
    """Publish once more what FLOW makes of the end of each EXECUTION, by its present rules; exit 1 if one fails.

    Nobody is called. For events that could not be made (`hub audit list --action flow.publish_failed`) and rules that
    were mended since; what was published before is published again.
    """
    with api() as hub:
        key = find(hub, FLOW, flow)
        made: list[Published] = []
        try:
            # As many at a time as the API takes.
            for begin in range(0, len(executions), _AT_ONCE):
                made += hub.publish_flow(key, executions[begin : begin + _AT_ONCE], event_type=event_type)
        finally:
            # Also what was published before a part was refused.
            if as_json and made:
                show_json({"data": made})
            elif made:
                show_rows(made, _PUBLISHED)
    if any(one["event"] is None for one in made):
        raise click.exceptions.Exit(1)


@flows.command()
@_flow_argument
@as_json_option
def pause(flow: str, as_json: bool) -> None:
    """Let events pass by; what was started goes on."""
    _switch(flow, paused=True, as_json=as_json)


@flows.command()
@_flow_argument
@as_json_option
def resume(flow: str, as_json: bool) -> None:
    """Take events again; those that passed by stay unseen."""
    _switch(flow, paused=False, as_json=as_json)


@flows.command()
@_flow_argument
@as_json_option
def delete(flow: str, as_json: bool) -> None:
    """Delete a flow; what it started goes on."""
    with api() as hub:
        key = find(hub, FLOW, flow)
        hub.delete_flow(key)
    show_deleted(key, as_json=as_json)


def _read(file: IO[bytes]) -> Definition:
    source = "standard input" if file.name == "<stdin>" else file.name
    try:
        text = file.read().decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise Invalid(f"{source} is not UTF-8 text.") from None
    except OSError as error:
        raise Invalid(f"{source} cannot be read: {error.strerror}.") from None
    first, *others = read_definitions(text, source)
    if others:
        raise Invalid(f"{others[0].where('')}: a file holds one flow; nothing was made.")
    return first


def _switch(flow: str, *, paused: bool, as_json: bool) -> None:
    with api() as hub:
        changed = hub.update_flow(find(hub, FLOW, flow), paused=paused)
    _show_switched(changed, as_json=as_json)


def _show_switched(flow: Flow, *, as_json: bool) -> None:
    state = "paused" if flow["paused"] else f"takes {', '.join(flow['event_types'])}"
    show_found(flow, as_json=as_json, line=f"{flow['id']} {state}")


def _show_test(tried: FlowTest) -> None:
    """Whether it would start and each link of the call; on standard output the input that the mapping makes."""
    if tried["why_not"] is not None:
        click.echo(
            f"The flow does not take this event, because of its {tried['why_not'].replace('_', ' ')}.",
            err=True,
        )
    show_rows(tried["links"], LINK_COLUMNS)
    click.echo(json.dumps(tried["input"], indent=2, ensure_ascii=False))
