"""What happens after an attempt. Pure: the pump calls it and writes the decision.

2xx is success; everything else, redirects included, is a failure and retried along the schedule, whose length is the
number of retries. An endpoint, an event type, a tenant and the deployment may each have a schedule; the most specific
one holds, as a whole. 410 disables the endpoint. `Retry-After` on 429 and 503 can postpone a retry, never hasten it.
A receiver may answer `webhook-delivery: abort-message` (no more retries of this one) or `disable` (no more at all).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.db.states import State
from hub.net.outcome import ErrorClass, Outcome, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from random import Random

#: Jitter only adds: a receiver's `Retry-After` stays honoured.
_JITTER = 0.1
_INTERNAL_DELAY = 5.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the delivery goes.

    Args:
        state: its next state.
        due_in: seconds until it is due again, with state DUE.
        step: its position in the schedule.
        reason: one word for a failed delivery.
        disable: the endpoint is to be disabled, for this reason.
    """

    state: State
    due_in: float = 0.0
    step: int = 0
    reason: str | None = None
    disable: str | None = None


#: Retries that a policy may ask for, and the longest wait between two, seconds.
MAX_RETRIES, MAX_DELAY = 50, 7 * 86_400.0


def schedule_of(policy: Mapping[str, Any] | None) -> tuple[float, ...] | None:
    """The seconds between attempts that a retry policy means; None without a policy.

    Args:
        policy: `{"strategy": "schedule", "delays": [...]}`, or `exponential` (`initial_seconds` doubled each time),
            `linear` (`initial_seconds` added each time) or `fixed`, with `max_retries` and `max_seconds`.

    Raises:
        KeyError, TypeError, ValueError: it was not written by the hub.
    """
    if policy is None:
        return None
    if policy["strategy"] == "schedule":
        return tuple(float(seconds) for seconds in policy["delays"])
    first, longest = float(policy["initial_seconds"]), float(policy.get("max_seconds") or MAX_DELAY)
    grow: dict[str, Callable[[int], float]] = {
        "exponential": lambda n: first * 2.0**n,
        "linear": lambda n: first * (n + 1),
        "fixed": lambda _: first,
    }
    delay = grow[policy["strategy"]]
    return tuple(min(longest, delay(n)) for n in range(policy["max_retries"]))


@dataclass(frozen=True, slots=True)
class Schedules:
    """What a tenant's events are retried by.

    Args:
        default: the tenant's schedule, or the deployment's.
        by_type: those of the event types that have one.
    """

    default: tuple[float, ...]
    by_type: Mapping[str, tuple[float, ...]]

    def of(self, endpoint: tuple[float, ...] | None, event_type: str) -> tuple[float, ...]:
        """The one that holds for a delivery.

        Args:
            endpoint: the schedule of its endpoint; None when that has none. An empty one is one: no retries.
            event_type: of its event.
        """
        return self.by_type.get(event_type, self.default) if endpoint is None else endpoint


def next_step(  # noqa: PLR0911 - one line a case
    schedule: tuple[float, ...], outcome: Outcome, step: int, now: datetime, rng: Random
) -> Decision:
    """Decide what follows an attempt.

    Args:
        schedule: seconds between attempts.
        outcome: what the attempt brought.
        step: retries already used.
        now: the current time, for a `Retry-After` date.
        rng: source of jitter.
    """
    control = outcome.headers.get("webhook-delivery")
    if control == "disable":
        state = State.DONE if outcome.ok else State.FAILED
        return Decision(
            state, step=step, reason=None if outcome.ok else "disabled_by_receiver", disable="by_receiver"
        )
    if outcome.ok:
        return Decision(State.DONE, step=step)
    if control == "abort-message":
        return Decision(State.FAILED, step=step, reason="aborted_by_receiver")
    if outcome.status == 410:
        return Decision(State.FAILED, step=step, reason="gone", disable="gone")
    if outcome.error_class is ErrorClass.INTERNAL:
        # Our own fault is not the receiver's: it burns no step.
        return Decision(State.DUE, due_in=_INTERNAL_DELAY * (1 + rng.random() * _JITTER), step=step)
    if step >= len(schedule):
        return Decision(State.FAILED, step=step, reason="exhausted")
    delay = schedule[step] * (1 + rng.random() * _JITTER)
    if outcome.status in {429, 503}:
        delay = max(delay, retry_after_seconds(outcome.headers, now) or 0.0)
    return Decision(State.DUE, due_in=delay, step=step + 1)
