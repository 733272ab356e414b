"""The delivery pump's runner: transforms, signs and sends, through one curl multi handle."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hub.net.outcome import Outcome
from hub.net.transfer import Call
from hub.webhooks.request import build, transform

if TYPE_CHECKING:
    from uuid import UUID

    from hub.core.clock import Clock
    from hub.net.multi import MultiSender
    from hub.net.token import TokenSource
    from hub.net.token_endpoint import TokenFault
    from hub.transforms.sandbox import Sandbox
    from hub.webhooks.job import Job, Result
    from hub.webhooks.target import Target

_UNAUTHORIZED = 401
#: Threads that transform: a step may wait for the sandbox, and nobody else is to wait with it.
_COOKS = 2


class DeliveryRunner:
    """Transforms, signs and sends.

    Args:
        sender: the way out.
        clock: wall time for `webhook-timestamp`.
        sandbox: where expressions are evaluated.
        tokens: access tokens for receivers that ask for one.
    """

    def __init__(self, sender: MultiSender, clock: Clock, sandbox: Sandbox, tokens: TokenSource) -> None:
        self._sender = sender
        self._clock = clock
        self._sandbox = sandbox
        self._tokens = tokens
        self._kitchen = ThreadPoolExecutor(_COOKS, thread_name_prefix="transform")
        # Jobs that are being transformed or wait for a token, and those for which that is over.
        self._preparing: dict[int, Job] = {}
        self._prepared: deque[tuple[Job, TokenFault | None]] = deque()

    @property
    def in_flight(self) -> int:
        """Calls under way, and those that are being made ready."""
        return self._sender.in_flight + len(self._preparing)

    def add(self, job: Job) -> None:
        """Start one call."""
        if job.target.pipeline is None:
            self._start(job)
            return
        self._preparing[id(job)] = job
        self._kitchen.submit(self._cook, job)

    def poll(self, timeout: float) -> list[Result]:
        """What finished; waits up to `timeout` seconds."""
        results: list[Result] = []
        while self._prepared:
            job, fault = self._prepared.popleft()
            del self._preparing[id(job)]
            if all(one.verdict is not None for one in (job, *job.others)):
                results.append((job, job.verdict))
            elif fault is not None:
                message = f"No access token could be had: {fault.message}"
                results.append((job, Outcome(None, fault.error_class, message)))
            else:
                self._start(job)
        for call, outcome in self._sender.poll(0 if results else timeout):
            job = call.key
            if job.token is not None and outcome.status == _UNAUTHORIZED:
                self._tokens.invalidate(_token_key(job.target), job.token)
            results.append((job, outcome))
        return results

    def wake(self) -> None:
        """Make a poll in another thread return."""
        self._sender.wake()

    def abort(self) -> list[Result]:
        """Cut off all calls."""
        self._kitchen.shutdown(wait=False, cancel_futures=True)
        self._tokens.close()
        waiting, self._preparing = list(self._preparing.values()), {}
        self._prepared.clear()
        return [(job, None) for job in waiting] + [(call.key, None) for call in self._sender.close()]

    # -- other threads: the kitchen's and the tokens' -----------------------------------------------------------------

    def _cook(self, job: Job) -> None:
        for one in (job, *job.others):
            transform(one, self._sandbox)
        self._ready(job, None)

    def _ready(self, job: Job, fault: TokenFault | None) -> None:
        self._prepared.append((job, fault))
        self._sender.wake()

    # -- the pump's thread ------------------------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        """Send, or first have a token fetched."""
        request = job.target.token
        if request is not None:
            key = _token_key(job.target)
            job.token = self._tokens.get(key)
            if job.token is None:
                self._preparing[id(job)] = job
                self._tokens.request(key, request, lambda fault: self._ready(job, fault))
                return
        job.started_at = self._clock.now()
        target = job.target
        built = build(job, int(job.started_at.timestamp()))
        job.request_headers = built.shown
        self._sender.add(
            Call(job, target.url, built.headers, built.body, target.timeout, certificate=target.certificate)
        )


def _token_key(target: Target) -> tuple[UUID, int]:
    return (target.id, target.version)
