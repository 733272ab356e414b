"""`hub curl`: a call as a command that a person can run without the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_object
from hub.cli.connection import Refused, api
from hub.cli.nouns import INTEGRATION, find

if TYPE_CHECKING:
    from hub.client.results import ExecutionDryRun


@click.command()
@click.argument("integration", metavar="INTEGRATION")
@click.argument("operation")
@click.option("--input", "given", callback=read_object, help="JSON, @file or -.")
def curl(integration: str, operation: str, given: dict[str, Any] | None) -> None:
    """Print the curl command (grpcurl for gRPC) of OPERATION of INTEGRATION; `***` stands for credentials.

    Nothing is called. What the command leaves out is told on standard error.
    """
    with api() as hub:
        tried = hub.dry_run_execution(find(hub, INTEGRATION, integration), operation, given)
    if tried["curl"] is None:
        raise Refused(tried["curl_note"] or _why(tried))
    click.echo(tried["curl"])
    if tried["curl_note"] is not None:
        click.echo(tried["curl_note"], err=True)


def _why(tried: ExecutionDryRun) -> str:
    """What the input lacks."""
    messages = [link["message"] for link in tried["links"] if link["message"]]
    return messages[-1] if messages else "This input makes no request."
