"""Names that libcurl may connect to: looked up by us, judged, remembered for a minute.

libcurl's own resolver will not do: its threads are few and shared, so some names whose servers never answer
hold up everybody else's, and closing a handle waits for them. Promises: nobody waits here (a finished lookup
rings a bell); every answer of a name is judged; a name that resolved lately goes on with its judged
addresses while it is looked up again, so a short outage of DNS harms no delivery.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.net.policy import AddressPolicy, EgressRefused

if TYPE_CHECKING:
    from collections.abc import Callable

FRESH_SECONDS = 60.0
STALE_SECONDS = 600.0
MAX_NAMES = 10_000

Key = tuple[str, int]
Answer = str | Exception
"""The IP addresses with commas between, or why there is none."""


@dataclass(slots=True)
class _Known:
    addresses: str
    fresh_until: float
    stale_until: float


class Names:
    """Belongs to one thread; lookups run in threads of their own.

    Args:
        policy: judges the answers.
        ring: called from another thread when a lookup has finished.
    """

    def __init__(self, policy: AddressPolicy, ring: Callable[[], None]) -> None:
        self._policy = policy
        self._ring = ring
        self._known: dict[Key, _Known] = {}
        self._looking: set[Key] = set()
        self._finished: queue.SimpleQueue[tuple[Key, Answer]] = queue.SimpleQueue()

    def addresses(self, key: Key, now: float) -> str | None:
        """The judged addresses of (host, port); None while they are being looked up.

        Args:
            key: host and port.
            now: monotonic seconds.
        """
        known = self._known.get(key)
        if (known is None or known.fresh_until <= now) and key not in self._looking:
            self._looking.add(key)
            try:
                threading.Thread(target=self._look_up, args=(key,), name="hub-dns", daemon=True).start()
            except RuntimeError as error:  # the process may have no more threads
                self._finished.put((key, error))
                self._ring()
        return known.addresses if known is not None and known.stale_until > now else None

    def finished(self, now: float) -> list[tuple[Key, Answer]]:
        """The lookups that ended since the last time, now remembered.

        Args:
            now: monotonic seconds.
        """
        answers = []
        while not self._finished.empty():
            key, answer = self._finished.get()
            self._looking.discard(key)
            if isinstance(answer, str):
                if len(self._known) >= MAX_NAMES:
                    self._known.clear()
                self._known[key] = _Known(answer, now + FRESH_SECONDS, now + STALE_SECONDS)
            elif isinstance(answer, EgressRefused):
                self._known.pop(key, None)
            answers.append((key, answer))
        return answers

    def _look_up(self, key: Key) -> None:
        answer: Answer
        try:
            found = self._policy.resolve(*key)
            answer = ",".join(f"[{a.ip}]" if ":" in a.ip else a.ip for a in found)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            answer = error
        self._finished.put((key, answer))
        self._ring()
