"""What a replay would do: looks as the job does, within bounds, and writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.webhooks.replay.pages import Position, Selected

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from hub.webhooks.replay.scanning import Scan

#: Rows that a dry run looks at, seconds that it takes, and deliveries that it shows.
MAX_ROWS = 50_000
MAX_SECONDS = 5.0
_SAMPLE = 20
_PAGE = 1_000


@dataclass(slots=True)
class Tally:
    """What was counted.

    Attributes:
        counts: by endpoint and state.
        sample: the first ones.
        scanned: rows that were looked at.
        waiting: of these, passed over because they wait for a retry.
        complete: nothing was left out.
    """

    counts: Counter[tuple[uuid.UUID, str]] = field(default_factory=Counter)
    sample: list[Selected] = field(default_factory=list)
    scanned: int = 0
    waiting: int = 0
    complete: bool = False


def count(scan: Scan, *, clock: Callable[[], float], max_rows: int = MAX_ROWS) -> Tally:
    """Count what a job would send again.

    Args:
        scan: what to look through.
        clock: monotonic seconds.
        max_rows: rows to look at.
    """
    tally = Tally()
    at = Position()
    ends = clock() + MAX_SECONDS
    looked = 0
    while not tally.complete and looked < max_rows and clock() < ends:
        page = scan.page(at, _PAGE)
        at = page.position
        tally.complete = page.finished
        tally.scanned += page.scanned
        tally.waiting += page.waiting
        # An event may stand for many endpoints.
        looked += max(1, page.scanned, len(page.selected))
        tally.counts.update((one.endpoint_id, one.state) for one in page.selected)
        tally.sample += page.selected[: _SAMPLE - len(tally.sample)]
    return tally
