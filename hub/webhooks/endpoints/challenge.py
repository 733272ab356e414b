"""Does the receiver know of this endpoint? It is asked to send a random word back.

The request goes the way of every delivery: signed, with the endpoint's headers and credentials, under the address
policy, without following redirects:

    {"type": "endpoint.challenge", "timestamp": "…", "challenge": "<word>"}

A receiver answers with 2xx and `{"challenge": "<word>"}`, or the word alone as text.
"""

from __future__ import annotations

import dataclasses
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.clock import SystemClock
from hub.core.errors import Conflict
from hub.core.ids import new_uuid
from hub.net.multi import MultiSender
from hub.net.outcome import Outcome
from hub.net.session import GuardedSession
from hub.net.token import TokenSource
from hub.transforms import Sandbox
from hub.webhooks.endpoints import store
from hub.webhooks.endpoints.service import Keeping, reason_of, save
from hub.webhooks.envelope import Envelope, timestamp_of
from hub.webhooks.job import Job
from hub.webhooks.sending import DeliveryRunner
from hub.webhooks.target import secret_ids, target_of

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy import Row

    from hub.access.principal import Principal
    from hub.web.services import Services
    from hub.webhooks.target import Target

TYPE = "endpoint.challenge"
_SECONDS = 10.0
#: The longest that an answer with the word in it can be, bytes.
_MAX_ANSWER = 4_096


def verify(hub: Services, caller: Principal, endpoint_id: uuid.UUID, now: datetime) -> tuple[Row[Any], bool]:
    """Ask the receiver; an endpoint that waited for it becomes active.

    Returns:
        The endpoint, and whether it was activated.

    Raises:
        NotFound: the tenant has no such endpoint.
        Conflict: the receiver did not answer as it should, or the URL was changed meanwhile.
    """
    with hub.engine.connect() as conn:
        row = store.find_endpoint(conn, caller.tenant_id, endpoint_id)
        opened = hub.vault.get_many(conn, [(caller.tenant_id, one) for one in secret_ids(row)])
    word = secrets.token_urlsafe(32)
    target = target_of(row, opened, hub.settings, now)
    # What belongs to events alone does not belong here.
    target = dataclasses.replace(target, batch_size=1, timeout=_SECONDS, filter=None, pipeline=None)
    outcome = _ask(hub, row, target, word, now)
    if fault := fault_of(outcome, word):
        raise Conflict(f"The endpoint is not verified: {fault}")
    with hub.engine.begin() as conn:
        before = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
        if before.url != row.url:
            raise Conflict("The URL was changed while it was verified: verify it again.")
        values = {"verified_url": before.url}
        if before.status == "unverified":
            values |= {"status": "active", "status_reason": reason_of("active")}
        return save(conn, caller, before, values, Keeping(conn, caller.tenant_id, hub.vault))


def fault_of(outcome: Outcome | None, word: str) -> str | None:
    """What is wrong with a receiver's answer, as a sentence; None when it sent the word back."""
    if outcome is None:
        return f"it did not answer within {_SECONDS:g} seconds."
    if not outcome.ok:
        return outcome.message
    answer = outcome.body.strip()
    if len(answer) <= _MAX_ANSWER and (
        hmac.compare_digest(answer, word.encode()) or hmac.compare_digest(_word_of(answer), word.encode())
    ):
        return None
    return 'its answer is neither {"challenge": "<the word it was sent>"} nor the word alone.'


def _word_of(answer: bytes) -> bytes:
    try:
        found = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b""
    word = found.get("challenge") if isinstance(found, dict) else found
    return word.encode() if isinstance(word, str) else b""


def _ask(hub: Services, row: Row[Any], target: Target, word: str, now: datetime) -> Outcome | None:
    stamp = timestamp_of(now)
    body = msgspec.json.encode({"type": TYPE, "timestamp": stamp, "challenge": word})
    key = new_uuid()
    envelope = Envelope(key, f"challenge_{key.hex}", "hub", TYPE, stamp, "", body)
    job = Job(key, row.tenant_id, 1, 1, 0, target, envelope, body)
    session = GuardedSession(hub.policy)
    runner = DeliveryRunner(
        MultiSender(hub.policy, max_in_flight=1), SystemClock(), Sandbox(), TokenSource(session)
    )
    deadline = time.monotonic() + _SECONDS + 1.0
    try:
        runner.add(job)
        while (left := deadline - time.monotonic()) > 0:
            for _, outcome in runner.poll(left):
                return outcome if isinstance(outcome, Outcome) else None
    finally:
        runner.abort()
        session.close()
    return None
