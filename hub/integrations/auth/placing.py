"""Putting credentials on a prepared request. What is already on it stays as it is, byte for byte.

`requests` would write a whole URL anew to add a parameter; a signature that was made over it would no longer hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_query(request: Any, pairs: Mapping[str, str]) -> None:
    """Add parameters at the end of the query, percent-encoded (RFC 3986, 2.1).

    One that is there with the same value moves to the end: services repeat a query in redirects and links. With
    another value it stays, since a signature may be over it.
    """
    parts = urlsplit(request.url)
    given = parts.query.split("&") if parts.query else []
    kept = [parameter for parameter in given if _read(parameter) not in pairs.items()]
    added = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs.items()]
    request.url = urlunsplit(parts._replace(query="&".join([*kept, *added])))


def _read(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return unquote_plus(name), unquote_plus(value)


def add_cookie(request: Any, name: str, value: str) -> None:
    """Add a cookie to those that the request has (RFC 6265, 4.2.1)."""
    given = request.headers.get("Cookie")
    request.headers["Cookie"] = f"{given}; {name}={value}" if given else f"{name}={value}"
