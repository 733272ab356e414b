"""The `format`s that are asserted; any other is a remark for readers (JSON Schema validation, section 7).

All are read by fixed expressions without nested repeats, so a hostile text costs no more than its length.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")


def _date(text: str) -> bool:
    """`full-date` of RFC 3339 section 5.6."""
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def _time(text: str) -> bool:
    """`full-time` of RFC 3339 section 5.6; a leap second only where it may be: at 23:59:60 UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    offset_hour, offset_minute = int(match[5] or 0), int(match[6] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        return False
    if second < 60:
        return True
    offset = (offset_hour * 60 + offset_minute) * (-1 if match[4] == "-" else 1)
    return (hour * 60 + minute - offset) % 1440 == 1439


def _date_time(text: str) -> bool:
    """`date-time` of RFC 3339 section 5.6."""
    return len(text) > 10 and text[10] in "Tt" and _date(text[:10]) and _time(text[11:])


def _email(text: str) -> bool:
    """A mailbox of RFC 5321 section 4.1.2 without quoted local parts and address literals."""
    local, at, domain = text.rpartition("@")
    if not at or _LOCAL.fullmatch(local) is None or len(domain) > 255:
        return False
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return False
    return all(_LABEL.fullmatch(label) for label in domain.split("."))


def _uri(text: str) -> bool:
    """A URI with a scheme, of the characters of RFC 3986."""
    if _URI.fullmatch(text) is None:
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return True


def _ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


#: Name of a format → does a text have it?
FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _date_time,
    "date": _date,
    "time": _time,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "email": _email,
    "uri": _uri,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
}
