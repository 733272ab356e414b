"""The delivery pump's runner: transforms, signs and sends, through one curl multi handle."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hub.net.transfer import Call
from hub.webhooks.request import build, transform

if TYPE_CHECKING:
    from hub.core.clock import Clock
    from hub.net.multi import MultiSender
    from hub.transforms.sandbox import Sandbox
    from hub.webhooks.job import Job, Result

#: Threads that transform: a step may wait for the sandbox, and nobody else is to wait with it.
_COOKS = 2


class DeliveryRunner:
    """Transforms, signs and sends.

    Args:
        sender: the way out.
        clock: wall time for `webhook-timestamp`.
        sandbox: where expressions are evaluated.
    """

    def __init__(self, sender: MultiSender, clock: Clock, sandbox: Sandbox) -> None:
        self._sender = sender
        self._clock = clock
        self._sandbox = sandbox
        self._kitchen = ThreadPoolExecutor(_COOKS, thread_name_prefix="transform")
        self._jobs: dict[int, Job] = {}
        self._cooked: deque[Job] = deque()

    @property
    def in_flight(self) -> int:
        """Calls under way, and those that are being made ready."""
        return self._sender.in_flight + len(self._jobs)

    def add(self, job: Job) -> None:
        """Start one call."""
        if job.target.pipeline is None:
            self._send(job)
            return
        self._jobs[id(job)] = job
        self._kitchen.submit(self._cook, job)

    def poll(self, timeout: float) -> list[Result]:
        """What finished; waits up to `timeout` seconds."""
        results: list[Result] = []
        while self._cooked:
            job = self._cooked.popleft()
            del self._jobs[id(job)]
            if all(one.verdict is not None for one in (job, *job.others)):
                results.append((job, job.verdict))
            else:
                self._send(job)
        results += [(call.key, outcome) for call, outcome in self._sender.poll(0 if results else timeout)]
        return results

    def wake(self) -> None:
        """Make a poll in another thread return."""
        self._sender.wake()

    def abort(self) -> list[Result]:
        """Cut off all calls."""
        self._kitchen.shutdown(wait=False, cancel_futures=True)
        waiting, self._jobs = list(self._jobs.values()), {}
        self._cooked.clear()
        return [(job, None) for job in waiting] + [(call.key, None) for call in self._sender.close()]

    # -- transforming: in the kitchen's threads ----------------------------------------------------------------------

    def _cook(self, job: Job) -> None:
        for one in (job, *job.others):
            transform(one, self._sandbox)
        self._cooked.append(job)
        self._sender.wake()

    # -- sending: in the pump's thread -------------------------------------------------------------------------------

    def _send(self, job: Job) -> None:
        job.started_at = self._clock.now()
        target = job.target
        built = build(job, int(job.started_at.timestamp()))
        job.request_headers = built.shown
        self._sender.add(
            Call(job, target.url, built.headers, built.body, target.timeout, certificate=target.certificate)
        )
