"""`hub integrations connect`, `disconnect`, `grant`: what people grant to integrations at their providers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from hub.cli.connection import api
from hub.cli.nouns import INTEGRATION, find
from hub.cli.output import as_json_option, console, moment, show_found, show_json
from hub.client import HubApiError
from hub.core.errors import Conflict

if TYPE_CHECKING:
    from hub.client.http import HttpClient
    from hub.client.results import Authorization, Grant

_POLL_SECONDS = 1.0
_integration_argument = click.argument("integration", metavar="INTEGRATION")


@click.command()
@_integration_argument
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    help="Seconds to wait for the person; exit 1 unless it is connected.",
)
@click.option("--open", "open_", is_flag=True, help="Open the address in a browser of this machine.")
@as_json_option
def connect(integration: str, wait: float | None, open_: bool, as_json: bool) -> None:
    """Begin to have a person grant access; also again, in place, when the provider has taken it back.

    Prints the address for the person's browser, or the code to type and where. With --wait and --json the grant is
    printed in the end, and the address on standard error.
    """
    with api() as hub:
        key = find(hub, INTEGRATION, integration)
        begun = hub.authorize_integration(key)
        before = None if wait is None else hub.get_grant(key)
        if as_json and wait is None:
            show_json(begun)
        else:
            _tell(begun, err=as_json)
        if open_:
            _open(begun)
        if wait is None or before is None:
            return
        with console(stderr=True).status("Waiting for the person…"):
            grant = _await(hub, key, begun, before, wait)
    if grant is None:
        click.echo(
            f"hub: Nobody has connected it within {wait:g} s; see `hub integrations grant {integration}`.",
            err=True,
        )
        raise click.exceptions.Exit(1)
    show_found(grant, as_json=as_json, line=f"{key} connected")


@click.command()
@_integration_argument
@as_json_option
def disconnect(integration: str, as_json: bool) -> None:
    """Forget a grant, and have the provider take it back where that is possible."""
    with api() as hub:
        key = find(hub, INTEGRATION, integration)
        done = hub.delete_grant(key)
    show_found(done, as_json=as_json, line=f"{key} disconnected")
    if not as_json and not done["revoked"]:
        click.echo(f"The provider may hold the grant still: {done['detail']}", err=True)


@click.command()
@_integration_argument
@as_json_option
def grant(integration: str, as_json: bool) -> None:
    """Show what the provider has granted, and what went wrong last. Tokens are never shown."""
    with api() as hub:
        found = hub.get_grant(find(hub, INTEGRATION, integration))
    show_found(found, as_json=as_json)


def _tell(begun: Authorization, *, err: bool) -> None:
    """What the person has to do; the address is the last word of its line, so that it can be copied."""
    until = f"until {moment(begun['expires_at'])} UTC"
    if begun["kind"] == "redirect":
        click.echo(f"Open this in the person's browser, {until}:", err=True)
        click.echo(begun["url"], err=err)
        return
    click.echo(f"Type the code {begun['user_code']}, {until}, at {begun['verification_uri']}", err=err)
    if begun["verification_uri_complete"] is not None:
        click.echo(f"Or open {begun['verification_uri_complete']}", err=err)


def _open(begun: Authorization) -> None:
    """Open the address, with the code in it where there is such a thing."""
    address = begun["url"] or begun["verification_uri_complete"] or begun["verification_uri"]
    if address is not None and click.launch(address) != 0:
        click.echo("No browser could be opened here.", err=True)


def _await(hub: HttpClient, key: str, begun: Authorization, before: Grant, wait: float) -> Grant | None:
    """Look until there are new tokens; None when the time is over.

    Raises:
        Conflict: the person came back without a grant.
        HubApiError: the code was refused, or was not typed in time.
    """
    deadline = time.monotonic() + wait
    while True:
        ended = _ask(hub, key) if begun["kind"] == "device" else None
        found = hub.get_grant(key)
        if found["state"] == "active" and found["version"] > before["version"]:
            return found
        if found["last_error"] is not None and found["updated_at"] != before["updated_at"]:
            raise Conflict(found["last_error"])
        if ended is not None:
            raise ended
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(left, begun["interval"] or _POLL_SECONDS))


def _ask(hub: HttpClient, key: str) -> HubApiError | None:
    """Have the hub ask for a device's token; why nobody is waited for any more.

    A worker of the hub asks too: that nobody is waited for is no fault when there are new tokens.
    """
    try:
        hub.poll_authorization(key)
    except HubApiError as error:
        return error
    return None
