"""What happens after an attempt of an execution. Pure: the pump calls it and writes the decision.

A failure is retried when repeating it may help (network faults, 408, 425, 429, 5xx) and cannot do harm: an operation
that is not idempotent is repeated only when its request surely did not arrive, or when the provider says with
`Retry-After` on 429 or 503 that it was not taken. Waits are the ledger's `due_at`; nobody sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hub.db.states import State
from hub.integrations.pipeline.limiting import asked_to_wait
from hub.integrations.pipeline.mapping import is_lost
from hub.net.outcome import NEVER_SENT, ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from random import Random

    from hub.integrations.pipeline.mapping import Action

#: Jitter only adds: a provider's `Retry-After` stays honoured.
_JITTER = 0.1
#: A fault of ours costs no retry, but one that does not go away must end some day.
_INTERNAL_DELAY = 5.0
_INTERNAL_ATTEMPTS = 20

_RETRYABLE_CLASSES = frozenset(
    {
        ErrorClass.DNS,
        ErrorClass.CONNECT_REFUSED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.TLS,
        ErrorClass.TIMEOUT,
        ErrorClass.RESET,
        ErrorClass.PROTOCOL,
        ErrorClass.HTTP_5XX,
        ErrorClass.RATE_LIMITED,
        ErrorClass.PROVIDER_BUSY,
    }
)
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
# The provider does not know the method, the protocol version or the extension: it will not next time either.
_FINAL_STATUSES = frozenset({501, 505, 510})

# The service says that it did not take the request.
_NOT_TAKEN = frozenset({ErrorClass.RATE_LIMITED, ErrorClass.PROVIDER_BUSY})

Strategy = Literal["exponential", "linear", "fixed"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long apart.

    Args:
        max_retries: attempts after the first one.
        strategy: how the wait grows: `base * 2ⁿ`, `base * (n + 1)`, or `base`.
        base_seconds: the first wait.
        cap_seconds: the longest wait of the strategy; `Retry-After` may ask for more.
    """

    max_retries: int = 3
    strategy: Strategy = "exponential"
    base_seconds: float = 1.0
    cap_seconds: float = 600.0

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> RetryPolicy:
        """From its stored form; what is missing has the default."""
        return cls(**stored)

    def wait(self, step: int) -> float:
        """Seconds before retry number `step`, counted from 0, without jitter."""
        if self.strategy == "exponential":
            # Beyond 2⁴⁰ the cap has long been reached; a float would overflow at 2¹⁰²⁴.
            factor = 2.0 ** min(step, 40)
        else:
            factor = step + 1.0 if self.strategy == "linear" else 1.0
        return min(self.base_seconds * factor, self.cap_seconds)


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the execution goes.

    Args:
        state: its next state.
        step: retries used from now on.
        due_in: seconds until the next attempt, with state DUE.
        reason: one word for a failure.
    """

    state: State
    step: int
    due_in: float = 0.0
    reason: str | None = None


def is_retryable(outcome: Outcome) -> bool:
    """May the same request succeed later? Says nothing about whether repeating it is harmless."""
    if outcome.status in _FINAL_STATUSES:
        return False
    return outcome.error_class in _RETRYABLE_CLASSES or (
        outcome.error_class is ErrorClass.HTTP_4XX and outcome.status in _RETRYABLE_STATUSES
    )


def next_attempt(  # noqa: C901, PLR0911 - one line a case
    policy: RetryPolicy,
    outcome: Outcome,
    step: int,
    now: datetime,
    rng: Random,
    *,
    idempotent: bool,
    attempt: int = 1,
    action: Action | None = None,
    unknown: bool = False,
) -> Decision:
    """Decide what follows an attempt.

    Args:
        policy: the integration's.
        outcome: what the attempt brought.
        step: retries already used.
        now: the current time, for a `Retry-After` date.
        rng: source of jitter.
        idempotent: repeating the operation does no harm.
        attempt: its number, from 1; bounds the attempts that fail by our own fault.
        action: what the integration's rules say of the answer; they know the service better than we do.
        unknown: a fault of ours hides what became of a request that had left.
    """
    if outcome.ok:
        return Decision(State.DONE, step)
    if outcome.error_class is ErrorClass.CANCELLED:
        return Decision(State.CANCELLED, step, reason="cancelled")
    if action == "fail":
        return Decision(State.FAILED, step, reason="permanent")
    if action == "refresh_credential":
        # The token is forgotten; the same answer with a fresh one is an answer.
        if step >= policy.max_retries:
            return Decision(State.FAILED, step, reason="exhausted")
        return Decision(State.DUE, step + 1)
    if outcome.error_class is ErrorClass.INTERNAL:
        if (unknown or outcome.peer is not None) and not idempotent:
            return Decision(State.FAILED, step, reason="not_repeatable")
        if attempt >= _INTERNAL_ATTEMPTS:
            return Decision(State.FAILED, step, reason="internal")
        return Decision(State.DUE, step, due_in=_INTERNAL_DELAY * (1 + rng.random() * _JITTER))
    told = action in {"retry", "rate_limited"}
    if not (told or is_retryable(outcome)):
        return Decision(State.FAILED, step, reason="permanent")
    asked = asked_to_wait(outcome, now)
    # A rule speaks of answers. Where none came whole, nobody knows whether the request was taken.
    refused = (
        (told and not is_lost(outcome))
        or outcome.error_class in _NOT_TAKEN
        or (outcome.status in {429, 503} and asked is not None)
    )
    if not (idempotent or outcome.error_class in NEVER_SENT or refused):
        return Decision(State.FAILED, step, reason="not_repeatable")
    if step >= policy.max_retries:
        return Decision(State.FAILED, step, reason="exhausted")
    wait = max(policy.wait(step), asked or 0.0)
    return Decision(State.DUE, step + 1, due_in=wait * (1 + rng.random() * _JITTER))
