"""How many requests that made no event are written down: a flood of them must fill neither disk nor log.

A bucket for each source: a burst is kept whole, of a flood a few a second; the others are counted only.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid

#: Requests that a source may have written down at once, and each second after that.
BURST = 20.0
PER_SECOND = 2.0
_MAX_SOURCES = 10_000


class Sampler:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[uuid.UUID, tuple[float, float]] = OrderedDict()

    def take(self, source_id: uuid.UUID, now: float) -> bool:
        """Is this request to be written down?

        Args:
            source_id: of which source.
            now: monotonic seconds.
        """
        tokens, at = self._buckets.get(source_id, (BURST, now))
        tokens = min(BURST, tokens + (now - at) * PER_SECOND)
        taken = tokens >= 1
        self._buckets[source_id] = (tokens - 1 if taken else tokens, now)
        self._buckets.move_to_end(source_id)
        if len(self._buckets) > _MAX_SOURCES:
            self._buckets.popitem(last=False)
        return taken
