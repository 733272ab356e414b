"""Executions as fixtures for tests: `hub executions record` writes them, `hub integrations check` proves them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import click

from hub.cli.changes import show_line
from hub.cli.connection import api
from hub.cli.nouns import EXECUTION, INTEGRATION, find
from hub.cli.output import as_json_option, show_json
from hub.client import HubApiError
from hub.client.fixtures import MISSING, Fixture, FixtureError, differences, has_masks
from hub.core.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.client.fixtures import Difference
    from hub.client.http import HttpClient
    from hub.client.results import ExecutionDetail

_SENT = ("method", "endpoint", "headers")
#: The hub says that such a request cannot be made.
_NOT_MADE = frozenset({404, 409, 422})


@click.command()
@click.argument("execution_id", metavar="EXECUTION", callback=EXECUTION.read)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def record(execution_id: str, file: Path, force: bool) -> None:
    """Write an execution that has ended into FILE, or a folder, as a fixture for tests.

    It holds operation, input, request and answer; credentials are in none of them. `hub.client.testing` answers from
    it without a hub, and `hub integrations check` tells when a definition would send something else.
    """
    with api() as hub:
        detail = hub.get_execution(execution_id)
        _check_recordable(detail)
        name = _name_of(hub, detail["integration"])
        request = _request_of(hub, detail)
    try:
        fixture = Fixture.recorded(name, detail, request, datetime.now(UTC).isoformat())
    except FixtureError as error:
        raise Conflict(str(error)) from None
    if file.is_dir():
        file /= (
            re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{name}.{detail['operation']}.{execution_id[-8:]}") + ".json"
        )
    try:
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(fixture.to_json())
    except FileExistsError:
        raise Conflict(f"{file} is there already; --force writes over it.") from None
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}.") from None
    click.echo(str(file))


@click.command()
@click.argument("files", metavar="FIXTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--integration", help="Check against this one: its name or id.  [default: of the fixture's name]"
)
@click.option("--ignore-host", is_flag=True, help="Another scheme, host or port is no difference.")
@as_json_option
def check(files: tuple[Path, ...], integration: str | None, ignore_host: bool, as_json: bool) -> None:
    """Tell whether what was recorded would be sent in the same way today. Nothing is called.

    FIXTUREs are files of `hub executions record`, or folders of them. Exit 1 if a request differs.
    """
    try:
        fixtures = [Fixture.read(path) for one in files for path in _files(one)]
    except FixtureError as error:
        raise Invalid(str(error)) from None
    if not fixtures:
        raise Invalid("There are no fixtures in these folders.")
    with api() as hub:
        found = [_checked(hub, one, integration, ignore_host=ignore_host) for one in fixtures]
    if as_json:
        show_json(found)
    else:
        for one in found:
            _show(one)
    if any(one["result"] == "differs" for one in found):
        raise click.exceptions.Exit(1)


def _check_recordable(detail: ExecutionDetail) -> None:
    if detail["flow"] is not None:
        raise Conflict(
            "A flow started this execution: what is kept is its event, not the input of the operation. "
            "`hub executions replay` makes it again."
        )
    if not isinstance(detail["input"], dict):
        raise Conflict("The data policy of the integration keeps no input of this execution.")


def _name_of(hub: HttpClient, integration_id: str) -> str:
    try:
        return hub.get_integration(integration_id)["name"]
    except HubApiError as error:
        if error.status != 404:
            raise
        return integration_id  # it was deleted


def _request_of(hub: HttpClient, detail: ExecutionDetail) -> Mapping[str, Any] | None:
    """What was sent. The hub keeps few bodies of requests: it makes this one again, and compares what it has kept."""
    sent = detail["request"]
    try:
        made = hub.dry_run_execution(detail["integration"], detail["operation"], detail["input"])["request"]
    except HubApiError as error:
        if error.status not in _NOT_MADE:
            raise
        made = None
    if made is not None and (sent is None or has_masks(detail["input"]) or _agree(sent, made)):
        return made
    if sent is not None:
        whole = "payload" in sent and not sent.get("payload_truncated")
        body = "what was sent is recorded" if whole else "the body of the request is not recorded"
        click.echo(f"The definition has changed since: {body}.", err=True)
        if not whole:
            sent = {name: value for name, value in sent.items() if name in _SENT}
    return sent


def _agree(sent: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    if any((sent.get(name) or {}) != (made.get(name) or {}) for name in _SENT):
        return False
    # The hub keeps what it made itself; of a long one only the beginning.
    known = "payload" in sent and not sent.get("payload_truncated")
    return not known or not differences(sent["payload"], made.get("payload"))


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def _checked(
    hub: HttpClient, fixture: Fixture, integration: str | None, *, ignore_host: bool
) -> dict[str, Any]:
    """What became of one fixture: `same`, `differs`, or `unknown` when it has no request."""
    found: dict[str, Any] = {"fixture": str(fixture.path), "differences": []}
    if fixture.request is None:
        return {**found, "result": "unknown", "message": "it has no request"}
    try:
        key = find(hub, INTEGRATION, integration or fixture.integration)
        tried = hub.dry_run_execution(key, fixture.operation, fixture.input)
    except NotFound as error:
        return {**found, "result": "differs", "message": error.detail}
    except HubApiError as error:
        if error.status not in _NOT_MADE:
            raise
        return {**found, "result": "differs", "message": error.detail}
    if tried["request"] is None:
        why = [link["message"] for link in tried["links"] if link["message"]]
        return {**found, "result": "differs", "message": why[-1] if why else "this input makes no request"}
    differing = _differing(fixture.request, tried["request"], ignore_host=ignore_host)
    shown = [
        {"path": path, "recorded": _plain(before), "now": _plain(after)} for path, before, after in differing
    ]
    return {**found, "result": "differs" if shown else "same", "differences": shown}


def _differing(
    recorded: Mapping[str, Any], made: Mapping[str, Any], *, ignore_host: bool
) -> list[Difference]:
    # The keys of the record count: of some requests the body is not known.
    pairs = {name: (value, made.get(name)) for name, value in recorded.items()}
    if ignore_host and isinstance(recorded.get("endpoint"), str):
        pairs["endpoint"] = (_without_host(recorded["endpoint"]), _without_host(str(made["endpoint"])))
    return [one for name, (before, after) in pairs.items() for one in differences(before, after, name)]


def _without_host(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme="", netloc=""))


def _plain(value: Any) -> Any:
    return None if value is MISSING else value


def _show(one: Mapping[str, Any]) -> None:
    sign = "-" if one["result"] == "differs" else ""
    message = f": {one['message']}" if one.get("message") else ""
    show_line(f"{one['result']:<8} {one['fixture']}{message}", sign)
    for difference in one["differences"]:
        for side, mark in (("recorded", "-"), ("now", "+")):
            if difference[side] is not None:
                show_line(f"  {mark} {difference['path']}: {difference[side]!r}", mark)
