"""A prepared request as a curl command that a person can run, with every credential masked. Pure."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.target import Target
    from hub.integrations.transports.interface import Prepared

_MASK = "***"


def curl_of(target: Target, prepared: Prepared) -> str | None:
    """The command; None for what curl cannot say.

    Args:
        target: the integration; of its credentials only the place is shown.
        prepared: what would be sent.
    """
    if not prepared.endpoint.startswith(("http://", "https://")):
        return None
    method = prepared.method if prepared.method.isalpha() and prepared.method.isupper() else "POST"
    lines = [f"curl --request {method} {shlex.quote(prepared.endpoint)}"]
    lines += _credentials(target.mode.name, target.credentials.parameters)
    lines += [f"--header {shlex.quote(f'{name}: {value}')}" for name, value in prepared.headers.items()]
    if target.connection.tls is not None and target.connection.tls.certificate is not None:
        lines.append("--cert client.pem --key client.key")
    if (payload := prepared.payload) is not None:
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        lines.append(f"--data-raw {shlex.quote(text)}")
    return " \\\n  ".join(lines)


def _credentials(  # noqa: PLR0911 - one line a case
    mode: str, parameters: Mapping[str, Any]
) -> list[str]:
    """Where the credentials would stand."""
    if mode in {"none", "mtls"}:
        return []
    if mode in {"basic", "digest"}:
        user = parameters.get("username", "")
        login = f"--user {shlex.quote(f'{user}:{_MASK}')}"
        return ["--digest", login] if mode == "digest" else [login]
    if mode == "api_key":
        name, place = parameters.get("name", ""), parameters.get("in", "header")
        if place == "query":
            return [f"--url-query {shlex.quote(f'{name}={_MASK}')}"]
        if place == "cookie":
            return [f"--cookie {shlex.quote(f'{name}={_MASK}')}"]
        return [f"--header {shlex.quote(f'{name}: {_MASK}')}"]
    if mode == "template":
        return [f"--header {shlex.quote(f'{name}: {_MASK}')}" for name in parameters.get("headers") or {}]
    return [f"--header 'Authorization: {_MASK}'"]
