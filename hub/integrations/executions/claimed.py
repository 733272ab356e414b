"""What a process has claimed and not yet recorded: executions of each integration, and the bytes of their inputs.

One slow service with a long queue would otherwise hold every call that a worker can make, and the executions of all
others would wait for its deadline. And a few hundred inputs of a megabyte, which take twenty times as much room once
they are read, would end the process with the calls of everybody.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from hub.integrations.executions.job import Job


class Claimed:
    """Counts claims. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[uuid.UUID, dict[tuple[uuid.UUID, int], int]] = defaultdict(dict)
        self._bytes = 0

    def add(self, jobs: Iterable[Job]) -> None:
        """They were claimed."""
        with self._lock:
            for job in jobs:
                self._claims[job.integration_id][job.id, job.fence] = job.size
                self._bytes += job.size

    def remove(self, jobs: Iterable[Job]) -> None:
        """They are about to be recorded or handed back; harmless when repeated."""
        with self._lock:
            for job in jobs:
                claims = self._claims.get(job.integration_id)
                if claims is not None:
                    self._bytes -= claims.pop((job.id, job.fence), 0)
                    if not claims:
                        del self._claims[job.integration_id]

    @property
    def bytes(self) -> int:
        """Of their inputs, as text."""
        return self._bytes

    def crowded(self, crowd: int) -> set[uuid.UUID]:
        """Integrations that have at least so many."""
        with self._lock:
            return {one for one, claims in self._claims.items() if len(claims) >= crowd}
