"""When a request was signed, and whether that is near enough to now. Pure.

The tolerance holds both ways: a request from the future is a wrong clock or a signature kept for later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from hub.sources.verifiers.contract import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.sources.verifiers.contract import Received


Format = Literal["seconds", "milliseconds", "iso8601"]
_NUMBER = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """Where a provider puts the time of signing.

    Args:
        header: its own header, or
        item: the mark of an item of the signature header (`t=`), or
        path: a place in the JSON body.
        format: how it is written.
        tolerance: seconds that it may differ from now, both ways.
    """

    header: str | None = None
    item: str | None = None
    path: str | None = None
    format: Format = "seconds"
    tolerance: int = 300

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        if self.header is not None:
            return f"header {self.header}"
        return (
            f"item {self.item} of the signature header"
            if self.item is not None
            else f"body field {self.path}"
        )

    def text(self, received: Received, items: Sequence[str]) -> str | None:
        """The time as it was written in a header or item; the signature covers this very text."""
        if self.header is not None:
            return received.headers.get(self.header)
        if self.item is not None:
            return next((item[len(self.item) :] for item in items if item.startswith(self.item)), None)
        return None

    def judge(self, written: Any, now: datetime) -> None:
        """Refuse a time that is too far from now.

        Args:
            written: the text, or the value found in the body.
            now: the time of receipt.

        Raises:
            Refused: it is too far, or not of this form.
        """
        seconds = epoch_seconds(written, self.format)
        if seconds is None:
            raise Refused(
                "malformed_timestamp", f"The time in {self.place} is not in the form {self.format}."
            )
        judge_age(seconds, now, self.tolerance)


def judge_age(seconds: float, now: datetime, tolerance: int) -> None:
    """Refuse a time in seconds since 1970 that is not within `tolerance` seconds of `now`.

    Raises:
        Refused: it is not.
    """
    age = now.timestamp() - seconds
    if age > tolerance:
        detail = f"The request was signed {age:.0f} seconds ago; {tolerance} are allowed. It may be a replay."
        raise Refused("timestamp_too_old", detail)
    if -age > tolerance:
        detail = f"The request was signed {-age:.0f} seconds in the future; {tolerance} are allowed. Check the clocks."
        raise Refused("timestamp_in_future", detail)


def epoch_seconds(written: Any, form: Format) -> float | None:
    """Seconds since 1970, or None when `written` is not of that form; a time without a zone is UTC."""
    text = str(written) if isinstance(written, int) and not isinstance(written, bool) else written
    if not isinstance(text, str):
        return None
    if form != "iso8601":
        if _NUMBER.fullmatch(text) is None:
            return None
        return int(text) / (1000 if form == "milliseconds" else 1)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
