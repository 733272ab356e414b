"""One reading of a URL, strict enough that two parsers cannot disagree about where it points.

Promises: what passes is http or https (or of a scheme that the caller names), ASCII, without credentials, and its host
is a plain DNS name or an IP address in its normal spelling (`127.1`, `0x7f000001` and `2130706433` all come out as
addresses). Leaves to others: whether that address and port may be called (`AddressPolicy`).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import idna

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 8192

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\]|\s")
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
WEB: Mapping[str, int] = {"http": 80, "https": 443}
_KEEP = "!#$%&'()*+,/:;=?@[]~"


class UrlError(ValueError):
    """The URL cannot be used; the text says what is wrong, in words that follow `url is not usable: `."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points.

    Args:
        text: the URL in ASCII, without its fragment.
        scheme: `http` or `https`, or another that was asked for.
        host: lower case; an IPv6 address without brackets.
        port: the given or the scheme's own one.
        address: set when the host is an IP address in any spelling.
    """

    text: str
    scheme: str
    host: str
    port: int
    address: IPv4Address | IPv6Address | None


def parse(url: str, schemes: Mapping[str, int] = WEB) -> Target:
    """Read a URL.

    Args:
        url: as given by a user.
        schemes: those that it may have → port when it names none.

    Raises:
        UrlError: it is not an absolute URL of these schemes, or two readers could understand it in two ways.
    """
    if len(url) > MAX_CHARACTERS:
        raise UrlError(f"it is longer than {MAX_CHARACTERS} characters")
    if _FORBIDDEN.search(url):
        raise UrlError("it has a space, a control character or a backslash; percent-encode it")
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise UrlError("its host or port cannot be read") from None
    if parts.scheme not in schemes:
        raise UrlError(f"it must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if "@" in parts.netloc:
        raise UrlError("it must not carry a user name or password; use the authentication settings")
    host, address = _host(parts.netloc, parts.hostname or "")
    port = schemes[parts.scheme] if given_port is None else given_port
    netloc = f"[{host}]" if isinstance(address, IPv6Address) else host
    if port != schemes[parts.scheme]:
        netloc += f":{port}"
    text = f"{parts.scheme}://{netloc}{quote(parts.path, safe=_KEEP) or '/'}"
    if parts.query:
        text += f"?{quote(parts.query, safe=_KEEP)}"
    return Target(text, parts.scheme, host, port, address)


def _host(netloc: str, raw: str) -> tuple[str, IPv4Address | IPv6Address | None]:
    if not raw:
        raise UrlError("it names no host")
    if netloc.startswith("["):
        try:
            six = IPv6Address(raw)
        except ValueError:
            raise UrlError("the host in brackets is not an IPv6 address") from None
        if six.scope_id is not None:
            raise UrlError("an IPv6 zone (%…) is not allowed")
        return str(six), six
    name = raw
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError):
            raise UrlError("its host is not a valid international name") from None
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise UrlError("its host is not a DNS name or an IP address")
    if _NUMERIC_LABEL.fullmatch(name.rstrip(".").rsplit(".", 1)[-1]):
        # No top-level domain is a number, so this is an IPv4 address in one of the spellings that C
        # libraries take.
        try:
            four = IPv4Address(socket.inet_aton(name.rstrip(".")))
        except OSError:
            raise UrlError("its host looks like an IPv4 address but is none") from None
        return str(four), four
    return name, None
