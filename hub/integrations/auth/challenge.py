"""What a server asks for in `WWW-Authenticate` (RFC 9110, 11.6.1), as far as digest authentication goes (RFC 7616)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import parse_http_list

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Algorithm → its name in hashlib; each one also as `…-sess`. Upper case.
ALGORITHMS = {
    name: known
    for name, known in {
        "MD5": "md5",
        "SHA-256": "sha256",
        "SHA-512": "sha512",
        "SHA-512-256": "sha512_256",
    }.items()
    if known in hashlib.algorithms_available
}

_SCHEME = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s+(.*))?", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One digest challenge that we can answer.

    Args:
        realm: whose passwords these are.
        nonce: the server's.
        algorithm: as the server wrote it.
        qop: `auth`, `auth-int`, or None for a server from before RFC 2617.
        opaque: goes back as it came.
        stale: the credentials may be right; only the nonce was too old.
        hashes_user: the user name is to be sent hashed.
    """

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str | None = None
    opaque: str | None = None
    stale: bool = False
    hashes_user: bool = False


def first_usable(header: str) -> Challenge | None:
    """The first digest challenge of the header that we can answer, as the server prefers (RFC 7616, 3.7).

    Args:
        header: the value of `WWW-Authenticate`; several ones joined by commas.
    """
    for scheme, parameters in _challenges(header):
        if scheme == "digest" and (found := _read(parameters)) is not None:
            return found
    return None


def next_nonce(header: str) -> str | None:
    """The nonce that `Authentication-Info` wants from now on (RFC 7616, 3.5)."""
    return _parameters(parse_http_list(header)).get("nextnonce") or None


def _challenges(header: str) -> list[tuple[str, Mapping[str, str]]]:
    """Scheme and parameters of each; a list item without `=` in its first word begins the next one."""
    grouped: list[tuple[str, list[str]]] = []
    for item in parse_http_list(header):
        begins = _SCHEME.fullmatch(item)
        if begins is not None:
            grouped.append((begins[1].lower(), [] if begins[2] is None else [begins[2]]))
        elif grouped:
            grouped[-1][1].append(item)
    return [(scheme, _parameters(items)) for scheme, items in grouped]


def _parameters(items: list[str]) -> dict[str, str]:
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if equals:
            text = value.strip()
            if len(text) >= 2 and text[0] == text[-1] == '"':
                text = _ESCAPE.sub(r"\1", text[1:-1])
            found[name.strip().lower()] = text
    return found


def _read(parameters: Mapping[str, str]) -> Challenge | None:
    algorithm = parameters.get("algorithm", "MD5")
    if algorithm.upper().removesuffix("-SESS") not in ALGORITHMS or not parameters.get("nonce"):
        return None
    qop = None
    if "qop" in parameters:
        offered = {one.strip().lower() for one in parameters["qop"].split(",")}
        qop = next((one for one in ("auth", "auth-int") if one in offered), None)
        if qop is None:
            return None
    return Challenge(
        realm=parameters.get("realm", ""),
        nonce=parameters["nonce"],
        algorithm=algorithm,
        qop=qop,
        opaque=parameters.get("opaque"),
        stale=parameters.get("stale", "").lower() == "true",
        hashes_user=parameters.get("userhash", "").lower() == "true",
    )
