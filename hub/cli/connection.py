"""How commands reach a hub's API: HUB_URL and HUB_API_KEY. Whatever goes wrong becomes one sentence."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from hub.cli.local_hub import LocalHub
from hub.client import HubApiError, HubUnreachable
from hub.client.http import HttpClient
from hub.core.errors import ConfigError, FieldError, HubError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_URL = "http://127.0.0.1:8400"


class Refused(HubError):
    """The hub refused what a command asked for."""


def api_url() -> str:
    """The URL of the hub's API."""
    return os.environ.get("HUB_URL") or DEFAULT_URL


def _tell_whose_key() -> None:
    """A key that nobody set is not used in silence."""
    context = click.get_current_context(silent=True)
    lender = context.find_object(LocalHub) if context else None
    if lender is not None:
        click.echo(
            f"HUB_API_KEY is not set: this is tenant {lender.demo_tenant}, with the demo's key.", err=True
        )


@contextmanager
def api() -> Iterator[HttpClient]:
    """A client of the hub, for the time of a command.

    Raises:
        ConfigError: there is no key, or the URL or key is malformed.
        Refused: the hub refused a request.
        Unavailable: it does not answer.
    """
    key = os.environ.get("HUB_API_KEY")
    if not key:
        raise ConfigError(
            "HUB_API_KEY is not set: make one with `hub api-keys create`, or start a hub with `hub up`."
        )
    try:
        client = HttpClient(api_url(), key)
    except ValueError as error:
        raise ConfigError(f"HUB_URL or HUB_API_KEY cannot be used: {error}.") from None
    _tell_whose_key()
    with client:
        try:
            yield client
        except HubApiError as error:
            known = f" ({error.request_id})" if error.status >= 500 and error.request_id else ""
            raise Refused(
                error.detail + known, fields=tuple(FieldError(one.path, one.message) for one in error.errors)
            ) from None
        except HubUnreachable as error:
            raise Unavailable(f"{error} Set HUB_URL, or ask `hub doctor` what is wrong.") from None
