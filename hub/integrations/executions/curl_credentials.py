"""Where the credentials of each authentication mode stand in a command; the credentials themselves are `***`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from shlex import quote as shell
from typing import Any
from urllib.parse import quote

MASK = "***"

_PLACE = re.compile(r"\{\{[^{}]*\}\}")
_OBTAINED = "*** is a token that the hub obtains by itself."
SIGNED = "*** is made anew for every request, which curl cannot do."

Parameters = Mapping[str, Any]


@dataclass(slots=True)
class Credentials:
    """Parts of a command.

    Attributes:
        options: of curl.
        login: user name and password are in the options; this is the user name.
        headers: names and masked values.
        query: encoded `name=***`.
        notes: for who reads the command.
    """

    options: list[str] = field(default_factory=list)
    login: bool = False
    headers: list[tuple[str, str]] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def put(self, place: str, name: str, value: str) -> None:
        """At one of the places `header`, `query` and `cookie`."""
        if place == "query":
            self.query.append(f"{quote(name, safe='')}={quote(value, safe='*')}")
        elif place == "cookie":
            self.headers.append(("Cookie", f"{name}={quote(value, safe='*')}"))
        else:
            self.headers.append((name, value))

    def log_in(self, user: str, password: str, *options: str) -> None:
        """By user name and password."""
        self.login = True
        self.options += [*options, f"--user {shell(f'{user}:{password}')}"]


def credentials_of(mode: str, parameters: Parameters, secrets: Collection[str]) -> Credentials:
    """The credentials of a definition.

    Args:
        mode: the name.
        parameters: the stored `auth`.
        secrets: names of the secrets that there are.
    """
    found = Credentials()
    make = _MODES.get(mode, _signed)
    make(found, parameters, secrets)
    return found


def _none(_found: Credentials, _parameters: Parameters, _secrets: Collection[str]) -> None:
    """Nothing, or a certificate, which is no option of these."""


def _basic(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    found.log_in(parameters["username"], MASK)


def _digest(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    found.log_in(parameters["username"], MASK, "--digest")


def _bearer(found: Credentials, _parameters: Parameters, _secrets: Collection[str]) -> None:
    found.put("header", "Authorization", f"Bearer {MASK}")


def _api_key(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    value = f"{parameters.get('prefix', '')}{MASK}"
    if parameters["in"] == "basic":
        found.log_in(value, parameters.get("basic_password", ""))
    else:
        found.put(parameters["in"], parameters["name"], value)


def _templates(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    for place, part in (("header", "headers"), ("query", "query")):
        for name, text in parameters[part].items():
            found.put(place, name, _PLACE.sub(MASK, text))


def _hmac(found: Credentials, parameters: Parameters, secrets: Collection[str]) -> None:
    _templates(found, parameters, secrets)
    found.notes.append(SIGNED)


def _obtained(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    place = parameters.get("placement") or {}
    value = f"{place.get('prefix', 'Bearer')} {MASK}".lstrip()
    found.put(place.get("in", "header"), place.get("name", "Authorization"), value)
    found.notes.append(_OBTAINED)


def _login_call(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    place = parameters["placement"]
    found.put(place["in"], place["name"], _PLACE.sub(MASK, place["template"]))
    found.notes.append(_OBTAINED)


def _aws(found: Credentials, parameters: Parameters, secrets: Collection[str]) -> None:
    provider = f"aws:amz:{parameters['region']}:{parameters['service']}"
    found.log_in(parameters["access_key_id"], MASK, f"--aws-sigv4 {shell(provider)}")
    if "session_token" in secrets:
        found.put("header", "X-Amz-Security-Token", MASK)


def _oauth1(found: Credentials, parameters: Parameters, _secrets: Collection[str]) -> None:
    if parameters["placement"] == "header":
        found.put("header", "Authorization", f"OAuth {MASK}")
        found.notes.append(SIGNED)
    else:
        found.notes.append(
            f"The signature in the {parameters['placement']} is left out: curl cannot make it."
        )


def _signed(found: Credentials, _parameters: Parameters, _secrets: Collection[str]) -> None:
    found.put("header", "Authorization", MASK)
    found.notes.append(SIGNED)


_MODES: dict[str, Callable[[Credentials, Parameters, Collection[str]], None]] = {
    "none": _none,
    "mtls": _none,
    "basic": _basic,
    "digest": _digest,
    "bearer": _bearer,
    "api_key": _api_key,
    "template": _templates,
    "hmac": _hmac,
    "oauth1": _oauth1,
    "aws_sigv4": _aws,
    "oauth2": _obtained,
    "google_service_account": _obtained,
    "login_call": _login_call,
}
