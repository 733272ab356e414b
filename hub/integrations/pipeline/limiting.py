"""How much of a service's patience a call may take: rates, calls at once, and what the service itself says of them.

A call that has no room goes back to the ledger: nobody waits in a thread for longer than the ledger's own lateness,
and no attempt is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.db.states import State
from hub.integrations.pipeline.call import Stopped
from hub.limits.concurrency import Full
from hub.limits.learning import learn, pause_of
from hub.limits.rates import Bucket, Denied
from hub.limits.turn import Turn
from hub.net.outcome import ErrorClass, retry_after_seconds

if TYPE_CHECKING:
    from datetime import datetime

    from hub.integrations.pipeline.call import Call, Tools
    from hub.integrations.pipeline.tools import Limits
    from hub.integrations.registry.policies import Rate
    from hub.net.outcome import Outcome

#: Why a row waits that was told when to come back.
RATE_LIMITED = "rate_limited"
#: Seconds that a thread may wait for a slot: about as late as the ledger is.
_PATIENCE = 0.5
#: Statuses by which a service takes nobody's calls for now.
_REFUSALS = frozenset({429, 503})
#: Seconds beyond a call's own time after which its place is free again, should its worker vanish.
_SLACK = 10.0


def admit(call: Call, tools: Tools) -> Stopped | None:
    """Take a place among the calls at once, then the call from its rates: who finds no place uses up no rate."""
    limit = call.target.rate_limit
    if tools.limits is None or not (buckets := _that_bind(call, tools.limits)):
        return None
    assert call.form is not None
    limiter = tools.limits.rates[limit.on_outage]
    if call.context.dry:
        looked = limiter.peek(buckets, call.form.cost)
        call.notes["limits"] = {"wait_seconds": looked.retry_after if isinstance(looked, Denied) else 0}
        return None
    if (full := _place(call, tools)) is not None:
        return full
    turn = _turn(call)
    patience = 0.0 if turn is Turn.REJECT else _PATIENCE
    taken = limiter.take(buckets, call.form.cost, turn=turn, patience=patience)
    if isinstance(taken, Denied):
        return _denied(call, taken.retry_after, "The rate limit leaves no room now.")
    if taken.wait:
        tools.limits.sleep(taken.wait)
    return None


def _that_bind(call: Call, limits: Limits) -> list[Bucket]:
    """The buckets that may make the call wait; none for most calls, which are under no limit and no pause."""
    limit = call.target.rate_limit
    if limit.limits or limit.max_concurrent is not None:
        return _buckets(call)
    if not (limit.learn and limits.knows_pauses):
        return []
    buckets = _buckets(call)
    return buckets if limits.is_paused(buckets) else []


def _turn(call: Call) -> Turn:
    if call.target.rate_limit.on_limit == "reject":
        return Turn.REJECT
    return Turn.CALLED if call.context.called else Turn.QUEUE


def _place(call: Call, tools: Tools) -> Stopped | None:
    limit = call.target.rate_limit
    if limit.max_concurrent is None:
        return None
    assert tools.limits is not None
    found = tools.limits.slots[limit.on_outage].acquire(
        _key(call, "calls"),
        call.context.execution_id.hex,
        cap=limit.max_concurrent,
        lease=call.timeout + _SLACK,
        turn=_turn(call),
    )
    if isinstance(found, Full):
        return _denied(call, found.retry_after, "As many calls as the integration allows are under way.")
    call.releases.append(found.release)
    return None


def _denied(call: Call, seconds: float, message: str) -> Stopped:
    if call.target.rate_limit.on_limit == "wait":
        return Stopped(State.DUE, RATE_LIMITED, message, due_in=seconds)
    return Stopped(State.FAILED, RATE_LIMITED, message)


def heed(call: Call, tools: Tools) -> Stopped | None:
    """Pause when the service's headers say that it is enough, for all workers."""
    outcome = call.outcome
    assert outcome is not None
    if tools.limits is None or not call.target.rate_limit.learn or not _says_something(outcome):
        return None
    seconds = _pause(outcome, tools.limits.now())
    if seconds:
        # A refusal is about the whole service. A good answer after which nothing is left tells of what was called:
        # many services count each resource for itself.
        refused = outcome.error_class is ErrorClass.RATE_LIMITED or outcome.status in _REFUSALS
        tools.limits.pause([_key(call, "integration") if refused else _operation_key(call)], seconds)
    return None


def _says_something(outcome: Outcome) -> bool:
    """Is there a header that tells of limits? Reading them costs more than looking for them."""
    return outcome.status in {429, 503} or any(
        "limit" in name or name == "retry-after" for name in outcome.headers
    )


def _pause(outcome: Outcome, now: datetime) -> float:
    learned = learn(outcome.headers, status=outcome.status, now=now)
    pause = 0.0 if learned is None else pause_of(learned)
    if outcome.error_class is ErrorClass.RATE_LIMITED:
        pause = max(pause, retry_after_seconds(outcome.headers, now) or 0.0)
    return pause


def asked_to_wait(outcome: Outcome, now: datetime) -> float | None:
    """The seconds after which a failed call may be repeated by the service's own word; None when it says nothing."""
    asked = retry_after_seconds(outcome.headers, now)
    if asked is not None:
        return asked
    learned = learn(outcome.headers, status=outcome.status, now=now)
    return (pause_of(learned) or None) if learned is not None else None


def _buckets(call: Call) -> list[Bucket]:
    found = [
        Bucket(_key(call, rate.by), rate.limit, rate.per_seconds, rate.burst or _usual_burst(rate))
        for rate in call.target.rate_limit.limits
    ]
    whole = _key(call, "integration")
    if not any(bucket.key == whole for bucket in found):
        # It has no rate of its own, but obeys the pauses that the service asks for.
        found.append(Bucket(whole, None))
    found.append(Bucket(_operation_key(call), None))
    return found


def _usual_burst(rate: Rate) -> int:
    """A tenth of a second's calls, at least one."""
    return max(1, round(rate.limit / rate.per_seconds / 10))


def _operation_key(call: Call) -> str:
    return f"{_key(call, 'operation')}{call.operation}"


def _key(call: Call, by: str) -> str:
    target, context = call.target, call.context
    who = ""
    if by == "caller":
        who = "" if context.caller is None else context.caller.hex
    elif by == "user":
        who = context.user or ""
    return f"{target.tenant_id.hex}:{target.id.hex}:{by}:{who}"
