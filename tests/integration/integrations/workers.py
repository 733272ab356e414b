"""Workers for tests: each with limits, a directory and a session of its own, as separate processes have them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from hub.core.clock import SystemClock
from hub.integrations.executions.cutting import Watch
from hub.integrations.executions.job import CallsUnderWay
from hub.integrations.executions.running import make_runner
from hub.integrations.pipeline.call import Tools
from hub.integrations.pipeline.tools import Limits
from hub.net.session import GuardedSession
from hub.queue.pump import Pump
from tests.integration.integrations.world import LEASE, World

_PAUSE = 0.02


class Worker:
    """Runs a pump again and again until it is stopped, and cuts off what is cancelled."""

    def __init__(
        self, world: World, redis_url: str | None, *, owner: str = "worker", capacity: int = 16
    ) -> None:
        self._world = world
        self._stop = threading.Event()
        self._under_way = CallsUnderWay()
        self._session = GuardedSession(world.services.policy)
        limits = None if redis_url is None else Limits(redis_url)
        self._source = world.source(owner)
        self._runner: Any = make_runner(
            Tools(self._session, world.sandbox, limits),
            SystemClock(),
            capacity=capacity,
            lease=LEASE,
            under_way=self._under_way,
        )
        self._capacity = capacity
        self._thread = threading.Thread(target=self._run, name=owner, daemon=True)
        self.jitter = Random(owner)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; calls under way are waited for."""
        self._stop.set()
        self._thread.join(20)
        self._session.close()

    def once(self) -> None:
        """Run until nothing is due."""
        Pump(
            # One task runs once in a process; these are to be several processes.
            self._thread.name,  # type: ignore[arg-type]
            self._source,
            self._runner,
            self._world.bell,  # type: ignore[arg-type]
            capacity=self._capacity,
            slice_seconds=5,
            linger=0.0,
            grace=0.0,
            stopping=lambda: False,
        ).run()

    def _run(self) -> None:
        with Watch(self._world.engine, self._under_way, every=0.2):
            while not self._stop.is_set():
                self.once()
                self._stop.wait(_PAUSE * (1 + self.jitter.random()))


@contextmanager
def running_workers(world: World, redis_url: str | None, count: int = 1) -> Iterator[list[Worker]]:
    """So many workers beside a test."""
    workers = [Worker(world, redis_url, owner=f"worker-{number}") for number in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()
