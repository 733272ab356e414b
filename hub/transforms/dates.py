"""Points in time from one way of writing into another.

Ways: `iso` (ISO 8601; written in UTC with `Z`), `date` (`2030-12-31`), `unix` and `unix_ms` (numbers since 1970),
or a pattern of `%Y %y %m %d %H %I %M %S %f %j %z %p %A %a %B %b %%` with English names. A time without an offset
is taken as UTC; a pattern that is read and has a day has a year too, for 29 February is none without.

Promises: pure but for the time-zone database; what cannot be read raises CannotReadDateError.
"""

from __future__ import annotations

import math
import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

MAX_PATTERN_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = ("iso", "date", "unix", "unix_ms")
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_DIRECTIVES = frozenset("YymdHIMSfjzpAaBb%")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class BadDateFormatError(ValueError):
    """The way of writing or the time zone is unknown; says why, to be read after the place."""


class CannotReadDateError(Exception):
    """The value is no point in time in that way of writing."""


@dataclass(frozen=True, slots=True)
class DateFormat:
    """From one way of writing into another.

    Attributes:
        source: way of the input.
        target: way of the output.
        zone: time zone of the output, for `date` and patterns.
    """

    source: str
    target: str
    zone: tzinfo

    def convert(self, value: Any) -> str | int:
        """One value.

        Raises:
            CannotReadDateError: it cannot be read, or is out of the years 1 to 9999.
        """
        try:
            return self._written(_read(value, self.source))
        except (ValueError, OverflowError):
            raise CannotReadDateError(f"the value is not a time in the form `{self.source}`") from None

    def _written(self, moment: datetime) -> str | int:
        if self.target == "iso":
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if self.target in ("unix", "unix_ms"):
            return (moment - _EPOCH) // timedelta(milliseconds=1000 if self.target == "unix" else 1)
        local = moment.astimezone(self.zone)
        if self.target == "date":
            return local.date().isoformat()
        return _DIRECTIVE.sub(lambda match: _part(local, match[1]), self.target)


def make_date_format(source: Any, target: Any, zone: Any) -> DateFormat:
    """Check the two ways and the zone.

    Args:
        source: way of the input.
        target: way of the output.
        zone: name of the IANA time-zone database, such as `Europe/Berlin`.

    Raises:
        BadDateFormatError: one of them is unknown.
    """
    for name, pattern in (("from", source), ("to", target)):
        _check(name, pattern)
    if source not in _NAMED:
        directives = _DIRECTIVE.findall(source)
        if any(directives.count(letter) > 1 for letter in _DIRECTIVES - {"%"}):
            raise BadDateFormatError("`from` has a directive twice")
        if "d" in directives and not {"Y", "y"} & {*directives}:
            raise BadDateFormatError("`from` has a day of the month but no year (%Y or %y)")
        try:
            datetime.strptime("", source)  # noqa: DTZ007  (only asks whether the pattern is one)
        except ValueError as error:
            if "does not match" not in str(error):
                raise BadDateFormatError("`from` is not a pattern that can be read") from None
    try:
        return DateFormat(source, target, UTC if zone == "UTC" else zoneinfo.ZoneInfo(zone))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise BadDateFormatError(
            '`timezone` must be a name of the IANA database, such as "Europe/Berlin"'
        ) from None


def _check(name: str, pattern: Any) -> None:
    if not isinstance(pattern, str) or not pattern or len(pattern) > MAX_PATTERN_CHARACTERS:
        raise BadDateFormatError(f"`{name}` must be text of 1 to {MAX_PATTERN_CHARACTERS} characters")
    if pattern in _NAMED:
        return
    directives = _DIRECTIVE.findall(pattern)
    if not directives:
        raise BadDateFormatError(
            f'`{name}` must be one of {", ".join(_NAMED)} or a pattern such as "%Y-%m-%d"'
        )
    for letter in directives:
        if letter not in _DIRECTIVES:
            raise BadDateFormatError(
                f"`{name}` has an unknown directive; known are {' '.join('%' + x for x in sorted(_DIRECTIVES))}"
            )


def _read(value: Any, source: str) -> datetime:
    if source in ("unix", "unix_ms"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        return _EPOCH + (timedelta(seconds=value) if source == "unix" else timedelta(milliseconds=value))
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS:
        raise ValueError
    if source in ("iso", "date"):
        moment = datetime.fromisoformat(value.strip())
    else:
        moment = datetime.strptime(value.strip(), source)  # noqa: DTZ007  (the next line gives it its zone)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _part(moment: datetime, letter: str) -> str:
    """One directive, without the locale and the platform's gaps that strftime has."""
    minutes = int((moment.utcoffset() or timedelta()) // timedelta(minutes=1))
    parts = {
        "Y": f"{moment.year:04}",
        "y": f"{moment.year % 100:02}",
        "m": f"{moment.month:02}",
        "d": f"{moment.day:02}",
        "H": f"{moment.hour:02}",
        "I": f"{(moment.hour + 11) % 12 + 1:02}",
        "M": f"{moment.minute:02}",
        "S": f"{moment.second:02}",
        "f": f"{moment.microsecond:06}",
        "j": f"{moment.timetuple().tm_yday:03}",
        "z": f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}",
        "p": "AM" if moment.hour < 12 else "PM",
        "A": _DAYS[moment.weekday()],
        "a": _DAYS[moment.weekday()][:3],
        "B": _MONTHS[moment.month - 1],
        "b": _MONTHS[moment.month - 1][:3],
        "%": "%",
    }
    return parts[letter]
