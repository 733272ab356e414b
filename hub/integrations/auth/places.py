"""Texts with places to fill in, `{{ key }}:{{ timestamp }}`: what goes into headers, queries and strings to sign."""

from __future__ import annotations

import re
import secrets as randomness
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

TimestampFormat = Literal["unix", "unix_ms", "unix_us", "iso8601", "iso8601_ms", "compact", "http_date"]

#: What every template may have, beside its secrets.
ALWAYS = frozenset({"timestamp", "nonce", "uuid"})

_PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_.\-]+)\s*\}\}")

Value = Callable[[], str | bytes]


def places_of(template: str) -> tuple[str, ...]:
    """The names of its places, in order."""
    return tuple(_PLACE.findall(template))


def template_fault(template: str, known: Collection[str]) -> str | None:
    """What is wrong with a template, to be read after its place; None when it is fine.

    Args:
        template: the text.
        known: names that can be filled in; one that ends with `.` stands for all that begin with it.
    """
    rest = _PLACE.sub("", template)
    if "{{" in rest or "}}" in rest:
        return "has `{{` or `}}` that makes no place; write a place as `{{ name }}`"
    for name in places_of(template):
        if name not in known and not any(one.endswith(".") and name.startswith(one) for one in known):
            choice = ", ".join(sorted(f"{one}NAME" if one.endswith(".") else one for one in known))
            return f"has the place {name}, which is unknown; there are {choice}"
    return None


def fill(template: str, values: Mapping[str, Value]) -> bytes:
    """Fill in; texts become UTF-8.

    Args:
        template: without faults.
        values: by name; asked only for the places that there are.
    """
    filled = []
    for index, part in enumerate(_PLACE.split(template)):
        value = values[part]() if index % 2 else part
        filled.append(value if isinstance(value, bytes) else value.encode())
    return b"".join(filled)


@dataclass(frozen=True, slots=True)
class Moment:
    """What is new in every request.

    Args:
        now: its time, with a timezone.
        nonce: 32 random hexadecimal digits.
        uuid: a random UUID (version 4).
    """

    now: datetime
    nonce: str
    uuid: str

    @classmethod
    def present(cls) -> Moment:
        """Now, by the machine's clock, with fresh randomness."""
        return cls(datetime.now(UTC), randomness.token_hex(16), str(uuid.uuid4()))

    def values(self, timestamp_format: TimestampFormat) -> dict[str, Value]:
        """The values of the places `ALWAYS`; the same ones in all templates of a request."""
        stamp = write_timestamp(self.now, timestamp_format)
        return {"timestamp": lambda: stamp, "nonce": lambda: self.nonce, "uuid": lambda: self.uuid}


def write_timestamp(now: datetime, form: TimestampFormat) -> str:  # noqa: PLR0911 - one line a format
    """A time as a provider wants it; with a timezone, written in UTC.

    `compact` is ISO 8601's basic format (`20260102T030405Z`), `http_date` that of RFC 9110, 5.6.7.
    """
    utc = now.astimezone(UTC)
    match form:
        case "unix":
            return str(int(utc.timestamp()))
        case "unix_ms":
            return str(_microseconds(utc) // 1000)
        case "unix_us":
            return str(_microseconds(utc))
        case "iso8601":
            return f"{utc:%Y-%m-%dT%H:%M:%SZ}"
        case "iso8601_ms":
            return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
        case "compact":
            return f"{utc:%Y%m%dT%H%M%SZ}"
        case "http_date":
            return format_datetime(utc, usegmt=True)


def _microseconds(utc: datetime) -> int:
    """In whole numbers: as a float, the last digits of such a count are not exact."""
    since = utc - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
