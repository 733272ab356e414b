"""Answers of safe operations that are given again: looked up before the call, kept after it.

Equal calls that are made at the same time cost one: the first leads, the others wait for its answer, in the thread for
a moment and then in the ledger. The key is made of the tenant, the integration's version, the moment when a person
connected it, the operation and the input as it will be sent, so nothing is shared across tenants or survives a change
of the definition or of the account.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from hub.db.states import State
from hub.integrations.pipeline.call import Stopped
from hub.limits.cache import Busy, Hit, Lead, cache_key
from hub.net.outcome import Outcome

if TYPE_CHECKING:
    from hub.integrations.pipeline.call import Call, Tools

#: Seconds that a thread waits for the leader's answer before its row goes back to the ledger.
_PATIENCE = 0.25
#: Seconds beyond a call's own time after which another may lead.
_SLACK = 5.0


class _Kept(msgspec.Struct, omit_defaults=True):
    """An answer as it is kept."""

    status: int | None
    headers: dict[str, str]
    body: str


def look_up(call: Call, tools: Tools) -> Stopped | None:
    """Is the answer known? With it, the call ends here."""
    assert call.form is not None
    assert call.prepared is not None
    target = call.target
    # What is not to be stored, in whole or in part, is not kept here either.
    keeps = target.data_policy.store == "all" and not target.masks.data
    seconds = call.form.cache_seconds if keeps else 0
    if tools.limits is None or seconds <= 0 or not call.prepared.safe or call.context.fresh:
        return None
    cache = tools.limits.cache
    account = None if target.granted_at is None else target.granted_at.isoformat()
    key = cache_key(target.tenant_id, target.id.hex, target.version, account, call.operation, call.given)
    if call.context.dry:
        call.notes["cache"] = {"hit": cache.get(key) is not None, "ttl_seconds": seconds}
        return None
    owner = call.context.execution_id.hex
    found = cache.wait(key, owner, call.timeout + _SLACK, _PATIENCE)
    if isinstance(found, Hit):
        call.outcome = _read(found.value)
        call.cached = call.outcome is not None
        return None
    if isinstance(found, Busy):
        message = "The same call is under way; its answer will do for this one too."
        return Stopped(State.DUE, "cache_wait", message, due_in=found.retry_after)
    if isinstance(found, Lead):
        call.cache_key = key
        call.releases.append(lambda: cache.release(key, owner))
    return None


def fill(call: Call, tools: Tools) -> Stopped | None:
    """Keep a good answer."""
    outcome = call.outcome
    assert outcome is not None
    assert call.form is not None
    if call.cache_key is None or tools.limits is None or not outcome.ok or outcome.truncated:
        return None
    kept = _Kept(outcome.status, outcome.headers, base64.b64encode(outcome.body).decode())
    owner = call.context.execution_id.hex
    tools.limits.cache.put(call.cache_key, msgspec.json.encode(kept), call.form.cache_seconds, owner=owner)
    return None


def _read(value: bytes) -> Outcome | None:
    try:
        kept: Any = msgspec.json.decode(value, type=_Kept)
        return Outcome(kept.status, None, headers=kept.headers, body=base64.b64decode(kept.body))
    except (msgspec.MsgspecError, ValueError):
        return None
