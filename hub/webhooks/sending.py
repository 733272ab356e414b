"""The delivery pump's runner: signs and sends through one curl multi handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.ids import new_uuid
from hub.net.transfer import Call
from hub.webhooks.envelope import batch_body

if TYPE_CHECKING:
    from hub.core.clock import Clock
    from hub.net.multi import MultiSender
    from hub.webhooks.job import Job, Result

_USER_AGENT = "Integration-Hub/1 (webhooks)"
_FIXED = ("Content-Type: application/json", f"User-Agent: {_USER_AGENT}")
_FIXED_SHOWN = f'"content-type":"application/json","user-agent":"{_USER_AGENT}",'


class DeliveryRunner:
    """Signs and sends.

    Args:
        sender: the way out.
        clock: wall time for `webhook-timestamp`.
    """

    def __init__(self, sender: MultiSender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._sender.in_flight

    def add(self, job: Job) -> None:
        """Sign and start one call."""
        job.started_at = self._clock.now()
        stamp = int(job.started_at.timestamp())
        target = job.target
        if target.batch_size == 1:
            webhook_id, body = job.envelope.webhook_id, job.envelope.body
        else:
            webhook_id = f"batch_{new_uuid().hex}"
            envelopes = [one.envelope for one in (job, *job.others)]
            body = batch_body([(envelope.webhook_id, envelope.body) for envelope in envelopes])
        headers = [
            *_FIXED,
            f"webhook-id: {webhook_id}",
            f"webhook-timestamp: {stamp}",
            f"webhook-signature: {target.signer.value(webhook_id, stamp, body)}",
            *target.headers,
        ]
        names = ""
        for profile in target.profiles:
            for name, value in profile.headers(target.keys, webhook_id, stamp, body):
                headers.append(f"{name}: {value}")
                names += f'"{name.lower()}":"***",'
        job.request_headers = msgspec.Raw(
            f'{{{_FIXED_SHOWN}"webhook-id":"{webhook_id}","webhook-timestamp":"{stamp}",{target.shown_headers}{names}'
            '"webhook-signature":"***"}'.encode()
        )
        self._sender.add(Call(job, target.url, headers, body, target.timeout))

    def poll(self, timeout: float) -> list[Result]:
        """What finished; waits up to `timeout` seconds."""
        return [(call.key, outcome) for call, outcome in self._sender.poll(timeout)]

    def wake(self) -> None:
        """Make a poll in another thread return."""
        self._sender.wake()

    def abort(self) -> list[Result]:
        """Cut off all calls."""
        return [(call.key, None) for call in self._sender.close()]
