"""The delivery pump's runner: transforms, signs and sends, through one curl multi handle."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from hub.core.errors import HubError
from hub.core.ids import new_uuid
from hub.db.states import State
from hub.net.outcome import ErrorClass, Outcome
from hub.net.transfer import Call
from hub.transforms.outcome import Cancelled, StepFailed
from hub.webhooks.envelope import batch_body
from hub.webhooks.job import NotSent

if TYPE_CHECKING:
    from hub.core.clock import Clock
    from hub.net.multi import MultiSender
    from hub.transforms.sandbox import Sandbox
    from hub.webhooks.job import Job, Result
    from hub.webhooks.target import Target

_USER_AGENT = "Integration-Hub/1 (webhooks)"
_FIXED = ("Content-Type: application/json", f"User-Agent: {_USER_AGENT}")
_FIXED_SHOWN = f'"content-type":"application/json","user-agent":"{_USER_AGENT}",'
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
            self._transform(one)
        self._cooked.append(job)
        self._sender.wake()

    def _transform(self, job: Job) -> None:
        """Make a delivery's body and headers, or its verdict."""
        pipeline = job.target.pipeline
        assert pipeline is not None
        try:
            result = pipeline.run(job.envelope.document(), self._sandbox)
            if isinstance(result, Cancelled):
                job.verdict = NotSent(State.SKIPPED, "cancelled_by_transformation")
                return
            job.body = json.dumps(result.document, ensure_ascii=False, separators=(",", ":")).encode()
            job.headers = result.headers
        except StepFailed as error:
            job.verdict = NotSent(State.FAILED, "transformation_failed", error.detail)
        except HubError as error:
            # The sandbox does not answer: our fault, so it is tried again.
            job.verdict = Outcome(None, ErrorClass.INTERNAL, error.detail)
        except Exception as error:  # noqa: BLE001 - one delivery must not end the others' pump
            job.verdict = NotSent(
                State.FAILED, "transformation_failed", f"The result is not JSON ({type(error).__name__})."
            )

    # -- sending: in the pump's thread -------------------------------------------------------------------------------

    def _send(self, job: Job) -> None:
        job.started_at = self._clock.now()
        stamp = int(job.started_at.timestamp())
        target = job.target
        if target.batch_size == 1:
            webhook_id, body = job.envelope.webhook_id, job.body
        else:
            webhook_id = f"batch_{new_uuid().hex}"
            sent = [one for one in (job, *job.others) if one.verdict is None]
            body = batch_body([(one.envelope.webhook_id, one.body) for one in sent])
        signed = [
            f"webhook-id: {webhook_id}",
            f"webhook-timestamp: {stamp}",
            f"webhook-signature: {target.signer.value(webhook_id, stamp, body)}",
        ]
        shown = f'"webhook-id":"{webhook_id}","webhook-timestamp":"{stamp}","webhook-signature":"***"'
        for profile in target.profiles:
            for name, value in profile.headers(target.keys, webhook_id, stamp, body):
                signed.append(f"{name}: {value}")
                shown += f',"{name.lower()}":"***"'
        own, own_shown = _own_headers(job)
        job.request_headers = msgspec.Raw(f"{{{own_shown}{shown}}}".encode())
        self._sender.add(Call(job, target.url, [*own, *signed], body, target.timeout))


def _own_headers(job: Job) -> tuple[tuple[str, ...], str]:
    """The lines that are not signatures, and as they are shown."""
    target = job.target
    if not job.headers:
        return (*_FIXED, *target.headers), _FIXED_SHOWN + target.shown_headers
    return _with_overrides(target, {name.lower(): value for name, value in job.headers.items()})


def _with_overrides(target: Target, overrides: dict[str, str | None]) -> tuple[tuple[str, ...], str]:
    """The same with what a transformation set."""
    lines = [line for line in (*_FIXED, *target.headers) if line.partition(":")[0].lower() not in overrides]
    shown = dict(msgspec.json.decode(f"{{{(_FIXED_SHOWN + target.shown_headers).rstrip(',')}}}"))
    for name, value in overrides.items():
        shown.pop(name, None)
        if value is not None:
            lines.append(f"{name}: {value}")
            shown[name] = value
    return tuple(lines), msgspec.json.encode(shown).decode()[1:-1] + ("," if shown else "")
