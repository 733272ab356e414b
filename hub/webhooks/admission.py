"""Who gets a socket: keeps one process's slow endpoints from taking all of its calls in flight.

An endpoint may have as many calls under way as a multiple of what is free now (the dynamic thresholds of shared-memory
switches: Choudhury and Hahne, 1998), and the multiple falls as its calls take longer. A fast one may fill most of the
process, for its calls are over in a moment; one of which no call has ended yet may have half of what is free; a
hanging one runs into its share while plenty is left; a hundred hanging ones shrink each other's shares instead of
filling the process. Limits of an endpoint's own are the lane's, see `hub.db.lane_ledger`.

What comes out of lanes (retries, resends, backlog) may take half of the calls: first attempts always find room.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable

#: What an endpoint whose calls take no time may have, as a multiple of what is free.
_SHARE = 8.0
#: Places that are counted as free beyond the capacity for a fast endpoint: a lone one may fill all of it.
_SLACK = 0.25
#: An endpoint whose calls take longer, or of which nothing came back for longer, is slow, seconds; and the share of
#: the places that are taken from which on a slow endpoint may have none.
_SLOW, _CROWDED = 1.0, 0.75
#: An endpoint whose calls take less than this need not be remembered, seconds.
_FAST = 0.25
#: Weight of the newest call in the average.
_WEIGHT = 0.1


class Ended(NamedTuple):
    """A call that is over.

    Args:
        endpoint_id: where it went.
        size: bytes of its body.
        from_lane: it was claimed from a lane.
        seconds: how long it took; None: it was not made.
    """

    endpoint_id: uuid.UUID
    size: int
    from_lane: bool
    seconds: float | None


@dataclass(slots=True)
class _Endpoint:
    """What is known of one endpoint.

    Attributes:
        calls: under way.
        seconds: what a call takes, on average; None: none has ended yet.
        progress_at: when one ended last, or the first of these began.
    """

    calls: int
    seconds: float | None
    progress_at: float


class Admission:
    """Calls under way in one process. Thread-safe.

    Args:
        capacity: calls at most.
        max_bytes: of bodies under way, together.
    """

    def __init__(self, capacity: int, *, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Condition()
        self._endpoints: dict[uuid.UUID, _Endpoint] = {}
        self._total = 0
        self._bytes = 0
        self._from_lanes = 0

    @property
    def room_for_lanes(self) -> int:
        """Calls that may still be claimed from lanes."""
        if self._bytes >= self._max_bytes:
            return 0
        return min(max(1, self._capacity // 2) - self._from_lanes, self._capacity - self._total)

    def full(self) -> list[uuid.UUID]:
        """The endpoints that have their share."""
        now = self._clock()
        with self._lock:
            return [key for key, one in self._endpoints.items() if one.calls + 1 > self._share(one, now)]

    def admit(self, endpoint_id: uuid.UUID, size: int) -> bool:
        """Take a place for a first attempt, if there is one.

        Args:
            endpoint_id: where it goes.
            size: bytes of its body.
        """
        with self._lock:
            if self._total >= self._capacity or self._bytes + size > self._max_bytes:
                return False
            one = self._endpoints.get(endpoint_id)
            if one is not None and one.calls + 1 > self._share(one, self._clock()):
                return False
            self._take(endpoint_id, one, size)
            return True

    def take(self, endpoint_id: uuid.UUID, size: int) -> None:
        """Take a place for what was claimed from a lane."""
        with self._lock:
            self._take(endpoint_id, self._endpoints.get(endpoint_id), size)
            self._from_lanes += 1

    def wait(self, timeout: float) -> None:
        """Wait for places to be given back, `timeout` seconds at most."""
        with self._lock:
            self._lock.wait(timeout)

    def release(self, ended: Iterable[Ended]) -> None:
        """Give places back."""
        now = self._clock()
        with self._lock:
            for endpoint_id, size, from_lane, seconds in ended:
                self._total -= 1
                self._bytes -= size
                self._from_lanes -= from_lane
                one = self._endpoints[endpoint_id]
                one.calls -= 1
                if seconds is not None:
                    known = seconds if one.seconds is None else one.seconds
                    one.seconds = known + (seconds - known) * _WEIGHT
                    one.progress_at = now
                if not one.calls and (one.seconds is None or one.seconds < _FAST):
                    # Nothing to remember of the fast.
                    del self._endpoints[endpoint_id]
            self._lock.notify_all()

    def _share(self, one: _Endpoint, now: float) -> float:
        waited = now - one.progress_at if one.calls else 0.0
        seconds = max(one.seconds or 0.0, waited)
        if seconds > _SLOW and self._total >= self._capacity * _CROWDED:
            # Whatever the shares of fifty that hang add up to: the last places are for those that answer.
            return 0.0
        if one.seconds is None and waited <= _SLOW:
            # It may turn out to hang: half of a process at most, less when there are more of them.
            return max(1.0, self._capacity - self._total)
        slowness = 1 + seconds + seconds * seconds / 4
        free = self._capacity * (1 + _SLACK / slowness) - self._total
        return max(1.0, free * _SHARE / slowness)

    def _take(self, endpoint_id: uuid.UUID, one: _Endpoint | None, size: int) -> None:
        if one is None:
            one = self._endpoints[endpoint_id] = _Endpoint(0, None, 0.0)
        if not one.calls:
            one.progress_at = self._clock()
        one.calls += 1
        self._total += 1
        self._bytes += size
