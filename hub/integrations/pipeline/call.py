"""One call on its way through the chain: what is known of it, and how it can end before it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.net.cancellation import Cancellation

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from hub.core.errors import FieldError
    from hub.db.states import State
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.grants.keeper import Granted, Grants
    from hub.integrations.pipeline.mapping import Action
    from hub.integrations.pipeline.redaction import Redactor
    from hub.integrations.pipeline.tools import Limits
    from hub.integrations.target import Operation, Target
    from hub.integrations.transports.interface import Prepared
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession
    from hub.transforms import Sandbox


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and what for.

    Args:
        execution_id: of the row; what is sent as the idempotency key is made of it.
        caller: the API key; None for other doors.
        user: on whose behalf, as the caller says.
        repeated: an earlier attempt ended without a trace, so the request may have arrived.
        called: it was told to come back now, when there was no room for it before.
        mapping: steps of the flow that started it, as JSON: they make the input of the event.
        over_quota: nothing is left of the integration's quota; seconds until there is.
        traceparent: W3C trace context that is sent on.
        max_seconds: a cap on the integration's own timeout: the call must end before its lease does.
        dry: find out what would happen, and call nobody.
        fresh: an answer that was kept will not do: a check or a test of the service.
    """

    execution_id: uuid.UUID
    caller: uuid.UUID | None = None
    user: str | None = None
    repeated: bool = False
    called: bool = False
    mapping: str | None = None
    over_quota: float | None = None
    traceparent: str | None = None
    max_seconds: float = 600.0
    dry: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """No call was made, and this is why.

    Args:
        state: HELD until something changes, DUE for another try, FAILED, SKIPPED or CANCELLED.
        reason: one word.
        message: a sentence for a person.
        due_in: seconds until the next try, with state DUE.
        fields: faults of the input, each with its path.
        timings: milliseconds by link, up to the one that ended it.
    """

    state: State
    reason: str
    message: str
    due_in: float = 0.0
    fields: tuple[FieldError, ...] = ()
    timings: Mapping[str, float] | None = field(default=None, compare=False)


@dataclass(slots=True)
class Call:
    """One call. Links read it and write into it.

    Attributes:
        target: the integration.
        operation: the name.
        form: what the definition says of that operation; None for the free one.
        given: the input; the request transform replaces it.
        prepared: what is sent; from the link `prepare` on.
        credentials: from the link `authenticate` on.
        granted: the token among them, of modes that obtain one; `redactor` masks it.
        cache_key: where the answer is kept, when it may be.
        outcome: what came; from the transport on, or from the cache.
        cached: it came from the cache.
        received: bytes of the answer, before its transformation.
        unknown: a fault of ours hides what became of a request that had left.
        action: what the rules say is to follow.
        timings: milliseconds by link.
        notes: what a dry run shows, by link.
        releases: what is given back when the call has ended, however it did.
    """

    target: Target
    operation: str
    given: Any
    context: Context
    form: Operation | None = None
    prepared: Prepared | None = None
    credentials: Credentials | None = None
    granted: Granted | None = None
    redactor: Redactor | None = None
    cache_key: str | None = None
    outcome: Outcome | None = None
    cached: bool = False
    received: int = 0
    unknown: bool = False
    action: Action | None = None
    timings: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    releases: list[Callable[[], object]] = field(default_factory=list)
    cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def timeout(self) -> float:
        """Seconds for the call."""
        own = None if self.form is None else self.form.timeout
        return min(own or self.target.timeout, self.context.max_seconds)


@dataclass(slots=True)
class Tools:
    """What links use; one a process.

    Args:
        session: the way out.
        sandbox: evaluates expressions.
        limits: rates, calls at once and kept answers; None: none of these is looked at.
        grants: tokens, for modes that obtain one.
    """

    session: GuardedSession
    sandbox: Sandbox | None = None
    limits: Limits | None = None
    grants: Grants | None = None


#: One step of the chain. It may end the call; it must not raise but for faults of ours.
Link = Callable[[Call, Tools], Stopped | None]
