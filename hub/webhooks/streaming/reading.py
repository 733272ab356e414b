"""What one stream has read of its tenant's events, and where it has to look again. Pure.

Ids are ordered by the time at which they were made, events become visible when their transaction commits: a lower id
may appear after a higher one was read. So what is younger than `WINDOW_SECONDS` is looked at again and again, and what
was seen before is dropped.

Promises: an event that is committed within a window of being published is shown, once, whatever the order of commits;
a stream that is resumed misses none of them either, and repeats those of a window. One that is committed later (its
publisher kept a transaction of the SQL door open for longer) may not be shown: the stream is for watching and for
developing, deliveries are made from the ledger, which misses nothing.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from hub.core.ids import floor_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

#: How long after its id was made an event may become visible.
WINDOW_SECONDS = 10
_WINDOW = WINDOW_SECONDS * 1000 << 80


class Reading:
    """The place of one stream.

    Args:
        start: everything up to here is none of its business.
        shown_from: what was made before this moment was there before the stream, `start` when nothing was.
    """

    def __init__(self, start: uuid.UUID, shown_from: uuid.UUID | None = None) -> None:
        self._settled = start
        self._newest = start
        self._shown_from = shown_from or start
        self._seen: set[uuid.UUID] = set()

    @classmethod
    def from_now(cls, now: datetime) -> Reading:
        """Of what comes from now on. The first pages show what is there already: take them and drop them."""
        present = floor_uuid(now)
        return cls(_window_before(present), present)

    @classmethod
    def resumed(cls, after: uuid.UUID, now: datetime) -> Reading:
        """Of what comes after an event, or after `resume_from` of an earlier stream, and a window before it."""
        return cls(min(_window_before(after), floor_uuid(now)))

    @property
    def settled(self) -> uuid.UUID:
        """Everything up to this id was read when it could not change any more: where to look again."""
        return self._settled

    @property
    def newest(self) -> uuid.UUID:
        """The highest id that was read: where to look for the next ones."""
        return self._newest

    @property
    def resume_from(self) -> uuid.UUID:
        """What `resumed` needs to go on here without a gap, when everything that was taken has been sent."""
        return uuid.UUID(int=min(max(self._settled, self._shown_from).int + _WINDOW, (1 << 128) - 1))

    def take(
        self, position: uuid.UUID, ids: Sequence[uuid.UUID], *, full: bool, now: datetime
    ) -> list[uuid.UUID]:
        """Note one page.

        Args:
            position: the id after which it was read.
            ids: all visible ones after it, ascending, up to the page's limit.
            full: the limit was reached.
            now: a moment before the read began.

        Returns:
            The ids that were not seen before.
        """
        fresh = [one for one in ids if one not in self._seen]
        self._seen.update(fresh)
        if ids:
            self._newest = max(self._newest, ids[-1])
        if position <= self._settled:
            final = _window_before(floor_uuid(now))
            upto = min(ids[-1], final) if full else final
            if upto > self._settled:
                self._settled = upto
                self._newest = max(self._newest, upto)
                self._seen = {one for one in self._seen if one > upto}
        return fresh


def _window_before(one: uuid.UUID) -> uuid.UUID:
    return uuid.UUID(int=max(0, one.int - _WINDOW))
