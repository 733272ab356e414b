"""A prepared request as a command that a person can run: curl for HTTP, grpcurl for gRPC. Pure.

Promises: every credential is `***` and nothing else is; with these replaced, the command sends what the hub would send,
but for what its notes name. It runs in any POSIX shell. Sources: the manual pages of curl (7.75 and later) and grpcurl.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from hub.integrations.executions.curl_body import body_options
from hub.integrations.executions.curl_credentials import Credentials, credentials_of
from hub.integrations.executions.curl_soap import NoFormError, soap_message_of
from hub.integrations.executions.grpcurl import grpcurl_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hub.integrations.target import Target
    from hub.integrations.transports.interface import Prepared

_BREAK = " \\\n  "
#: curl would read these in an address as a list of addresses.
_GLOBS = re.compile(r"[][{}]")
_NO_FORM = {
    "websocket": "There is no curl form of a WebSocket session.",
    "database": "There is no curl form of a database's statement.",
    "file_transfer": "There is no curl form of a file transfer.",
    "messaging": "There is no curl form of messaging.",
}


@dataclass(frozen=True, slots=True)
class Command:
    """What to type.

    Args:
        text: the command; None when there is none.
        note: what it leaves out, or why there is none; None when it is complete.
    """

    text: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a target does not tell while its secrets stay closed.

    Args:
        tls: the stored block `tls`.
        secrets: names of the secrets that there are.
        idempotency_key: what is sent where the operation has a header for one.
    """

    tls: Mapping[str, Any] | None = None
    secrets: Collection[str] = ()
    idempotency_key: str = ""


def command_of(target: Target, prepared: Prepared, facts: Facts) -> Command:
    """The command of a request.

    Args:
        target: the integration; of its credentials only the place is shown.
        prepared: what would be sent.
        facts: the rest.
    """
    name = target.transport.name
    found = credentials_of(target.mode.name, target.credentials.parameters, facts.secrets)
    notes = [*found.notes]
    if name == "grpc":
        text = grpcurl_of(target.connection.settings, prepared, found, _tls_files(facts.tls, "-"))
    elif name in {"rest", "graphql", "ai_service"}:
        method, body = _request_of(name, prepared)
        headers = _headers(prepared, facts.idempotency_key)
        text = _curl(_Request(method, prepared.endpoint, headers, body), target, found, facts)
    elif name == "soap":
        try:
            message = soap_message_of(target, prepared, notes)
        except NoFormError as error:
            return Command(None, f"There is no curl form: {error}.")
        if target.connection.settings.wsse:
            # They stand in the message alone.
            found = Credentials()
        text = _curl(_Request("POST", *message), target, found, facts)
    else:
        return Command(None, _NO_FORM.get(name, "There is no curl form of this transport."))
    if getattr(prepared.wire, "pages", None):
        notes.append("The hub goes on from page to page; this is the first one.")
    if facts.tls and (facts.tls.get("certificate") or facts.tls.get("ca")):
        notes.append("The .pem and .key files stand for what `tls` says.")
    return Command(text, " ".join(notes) or None)


class _Request(NamedTuple):
    method: str
    address: str
    headers: dict[str, str]
    body: bytes | None


def _curl(request: _Request, target: Target, found: Credentials, facts: Facts) -> str:
    piped, options, headers = body_options(request.body, _with_credentials(request.headers, found))
    url = _address(request.address, found.query)
    lines = ["curl --head" if request.method == "HEAD" else f"curl --request {request.method}"]
    lines[0] += " --globoff" * bool(_GLOBS.search(url)) + f" {quote(url)}"
    lines += found.options
    lines += [f"--header {quote(f'{name}: {value}' if value else f'{name};')}" for name, value in headers]
    lines += _tls_files(facts.tls, "--")
    if hops := target.connection.follow_redirects:
        lines.append(f"--location --max-redirs {hops}")
    return piped + _BREAK.join(lines + options)


def _request_of(name: str, prepared: Prepared) -> tuple[str, bytes | None]:
    """Method and body as the transport sends them."""
    if name == "graphql":
        content: bytes = prepared.wire.content()
        return "POST", content
    body: bytes | None = prepared.wire.body
    if name == "ai_service":
        return "GET" if body is None else "POST", body
    return prepared.method, body


def _headers(prepared: Prepared, key: str) -> dict[str, str]:
    """The request's own, with the key against doubles."""
    headers = dict(prepared.headers)
    wire = prepared.wire
    name = getattr(wire, "idempotency_key", "") or getattr(
        getattr(wire, "operation", None), "idempotency_key", ""
    )
    if name and key and name.lower() not in {one.lower() for one in headers}:
        headers[name] = key
    return headers


def _with_credentials(headers: Mapping[str, str], found: Credentials) -> list[tuple[str, str]]:
    """Those of the credentials stand in place of others of their name."""
    taken = {one.lower() for one, _ in found.headers}
    kept = {one: value for one, value in headers.items() if one.lower() not in taken}
    return [*kept.items(), *found.headers]


def _address(url: str, more: list[str]) -> str:
    if not more:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}{'&'.join(more)}"


def _tls_files(tls: Mapping[str, Any] | None, dash: str) -> list[str]:
    found = []
    if tls and tls.get("certificate"):
        found.append(f"{dash}cert client.pem {dash}key client.key")
    if tls and tls.get("ca"):
        found.append(f"{dash}cacert ca.pem")
    return found
