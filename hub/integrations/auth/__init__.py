"""How a call proves who makes it: one small module for each mode, chosen by the integration's `auth.mode`.

A mode gives an authentication object in the sense of `requests`: it is applied to the prepared request at the last
moment, and not to a redirect that leads to another origin. Secrets are revealed there and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.integrations.auth import api_key, basic, bearer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.core.secret import Secret
    from hub.net.session import Auth

#: The secrets that each mode needs.
SECRETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "api_key": ("key",),
    "basic": ("password",),
    "bearer": ("token",),
}
_BUILDERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Secret]], Auth]] = {
    "api_key": api_key.ApiKey,
    "basic": basic.Basic,
    "bearer": bearer.Bearer,
}


def build(parameters: Mapping[str, Any], secrets: Mapping[str, Secret]) -> Auth | None:
    """The authentication object of an integration; None for mode `none`.

    Args:
        parameters: the stored `auth`, with its mode.
        secrets: all those of `SECRETS[mode]`.
    """
    builder = _BUILDERS.get(parameters["mode"])
    return None if builder is None else builder(parameters, secrets)


def traces(parameters: Mapping[str, Any], secrets: Mapping[str, Secret]) -> list[str]:
    """Every text in which a secret appears on the wire, for redaction of what comes back."""
    found = [secret.reveal() for secret in secrets.values()]
    if parameters["mode"] == "basic":
        found.append(basic.encode(parameters, secrets))
    return found
