"""Times as people write them: how long ago or from now, such as `2h`, or RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

import click

_DURATION = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta | None:
    """`90s`, `15m`, `2h`, `7d`; None when it is something else."""
    match = _DURATION.fullmatch(text)
    return None if match is None else timedelta(**{_UNITS[match[2]]: int(match[1])})


def moment_of(text: str, now: datetime, way: Literal["ago", "from now"]) -> str:
    """A time as RFC 3339.

    Args:
        text: what was written: how long ago or from now, or RFC 3339.
        now: what a duration counts from.
        way: what a duration means.

    Raises:
        click.BadParameter: it is neither.
    """
    duration = parse_duration(text)
    if duration is not None:
        return (now - duration if way == "ago" else now + duration).isoformat()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter(
            f"{text!r}: expected how long {way}, such as 90m, 2h or 7d, or a time with its offset, such as"
            " 2026-11-22T18:00:00Z"
        )
    return at.isoformat()


def read_past(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A click callback: a moment, or how long ago."""
    return None if value is None else moment_of(value, datetime.now(UTC), "ago")


def read_coming(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A click callback: a moment, or how long from now."""
    return None if value is None else moment_of(value, datetime.now(UTC), "from now")
