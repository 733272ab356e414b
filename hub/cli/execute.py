"""`hub execute`: execute an operation of an integration, or only try it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_object
from hub.cli.connection import api
from hub.cli.moments import read_coming
from hub.cli.nouns import INTEGRATION, find
from hub.cli.output import as_json_option, show_json, show_rows
from hub.cli.waiting import answer_of, show_answer, wait_option

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.results import ExecutionDryRun

#: Of the links of a dry run.
LINK_COLUMNS: Columns = {
    "link": "link",
    "result": "result",
    "ms": lambda row: f"{row['ms']:.3f}",
    "message": lambda row: row.get("message"),
}


@click.command()
@click.argument("integration", metavar="INTEGRATION")
@click.argument("operation")
@click.option(
    "--input", "given", callback=read_object, help='JSON, @file or -; e.g. \'{"path": {"id": 42}}\'.'
)
@click.option("--user", help="On whose behalf, for access rules and limits.")
@click.option("--component", help="Which part of your system asks.")
@click.option("--at", "not_before", callback=read_coming, help="Then at the earliest: 90m, 2h, or a time.")
@click.option("--idempotency-key", help="The same request with the same key is done once.")
@wait_option
@click.option(
    "--dry-run", is_flag=True, help="Only show what it would do, link by link; exit 1 unless it would call."
)
@as_json_option
def execute(
    integration: str,
    operation: str,
    given: dict[str, Any] | None,
    wait: float | None,
    dry_run: bool,
    as_json: bool,
    **options: str | None,
) -> None:
    """Execute OPERATION of INTEGRATION, which is a name or an id (`int_…`)."""
    refused = [name for name, value in options.items() if value is not None and name != "user"]
    if dry_run and (refused or wait is not None):
        raise click.UsageError("With --dry-run there is nothing to wait for, to repeat or to put off.")
    with api() as hub:
        key = find(hub, INTEGRATION, integration)
        if dry_run:
            tried = hub.dry_run_execution(key, operation, given, user=options["user"])
        else:
            answer = answer_of(
                hub, lambda seconds: hub.execute(key, operation, given, wait=seconds, **options), wait
            )
    if not dry_run:
        show_answer(answer, wait, as_json=as_json)
        return
    if as_json:
        show_json(tried)
    else:
        _show_links(tried)
    if not tried["would_call"]:
        raise click.exceptions.Exit(1)


def _show_links(tried: ExecutionDryRun) -> None:
    """Each link with its result and time, then the command that sends the same."""
    show_rows(tried["links"], LINK_COLUMNS)
    if tried["curl"] is not None:
        click.echo(tried["curl"])
    if tried["curl_note"] is not None:
        click.echo(tried["curl_note"], err=True)
