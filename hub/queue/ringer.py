"""Rings from a request's path without making the request wait for Redis.

Rows are committed before this is asked; a thread rings afterwards. A paused Redis delays doorbells, never answers.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hub.queue.contracts import DOORBELL_IDS, TaskName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.queue.bell import Bell


class Ringer:
    """A thread that rings; requests of the time it is busy become one ring.

    Args:
        bell: what it rings.
    """

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._pending: dict[TaskName, list[str]] = {}
        self._news = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
        self._thread.start()

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> None:
        """Ask for a ring; returns at once."""
        with self._news:
            waiting = self._pending.setdefault(task, [])
            waiting.extend(ids[: DOORBELL_IDS - len(waiting)])
            self._news.notify()

    def stop(self) -> None:
        """Ring what is pending and end the thread; waits up to 5 s."""
        with self._news:
            self._stopped = True
            self._news.notify()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._pending and not self._stopped:
                    self._news.wait()
                if not self._pending:
                    return
                # The oldest first: a busy task must not keep the others waiting.
                task = next(iter(self._pending))
                ids = self._pending.pop(task)
            self._bell.ring(task, ids)
