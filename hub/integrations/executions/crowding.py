"""Which integrations fill a worker: how many executions each has under way in this process.

One slow service with a long queue would otherwise hold every call that a worker can make, and the executions of all
others would wait for its deadline.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from hub.integrations.executions.job import Job


class Crowding:
    """Counts what is claimed and not yet recorded. Thread-safe.

    Args:
        crowd: executions from which on an integration is a crowd.
    """

    def __init__(self, crowd: int) -> None:
        self.crowd = crowd
        self._lock = threading.Lock()
        self._claims: dict[uuid.UUID, set[tuple[uuid.UUID, int]]] = defaultdict(set)

    def add(self, jobs: Iterable[Job]) -> None:
        """They were claimed."""
        with self._lock:
            for job in jobs:
                self._claims[job.integration_id].add((job.id, job.fence))

    def remove(self, jobs: Iterable[Job]) -> None:
        """They are about to be recorded or handed back; harmless when repeated."""
        with self._lock:
            for job in jobs:
                claims = self._claims.get(job.integration_id)
                if claims is not None:
                    claims.discard((job.id, job.fence))
                    if not claims:
                        del self._claims[job.integration_id]

    def crowded(self) -> set[uuid.UUID]:
        """Those that have enough."""
        with self._lock:
            return {one for one, claims in self._claims.items() if len(claims) >= self.crowd}
