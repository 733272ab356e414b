"""One attempt, link by link: load → may it be called → request → credentials and transport → redaction.

Promises: never raises; a secret never leaves it but towards the provider. What follows from its end is decided by
`retry` and written by the pump.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import Invalid
from hub.db.states import State
from hub.integrations import request as requests_
from hub.integrations.transports import rest
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.integrations.directory import Target
    from hub.integrations.request import Request
    from hub.net.session import GuardedSession

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stopped:
    """No call was made, and this is why.

    Args:
        state: HELD until something changes, or FAILED.
        reason: one word.
        message: a sentence for a person.
    """

    state: State
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Made:
    """A call was made.

    Args:
        outcome: what it brought, redacted.
        idempotent: it may be repeated without harm.
    """

    outcome: Outcome
    idempotent: bool


def prepare(target: Target, operation: str, given: Any, *, repeated: bool) -> Request | Stopped:
    """Every link before the call. Pure.

    Args:
        target: the integration.
        operation: its name.
        given: the input.
        repeated: an earlier attempt ended without a trace, so the request may have arrived.
    """
    if target.hold is not None:
        return Stopped(State.HELD, target.hold, "The integration is not active.")
    if target.unreadable:
        return Stopped(State.FAILED, "secret_unreadable", "The integration's credentials cannot be read.")
    try:
        request = requests_.build(target.base_url, target.headers, target.operations, operation, given)
    except Invalid as error:
        return Stopped(State.FAILED, "invalid_input", error.detail)
    if repeated and not request.idempotent:
        message = (
            "The worker vanished during an earlier attempt. Whether that call arrived is unknown,"
            " and this operation must not be made twice."
        )
        return Stopped(State.FAILED, "interrupted", message)
    return request


def attempt(
    session: GuardedSession,
    target: Target | None,
    operation: str,
    given: Any,
    *,
    repeated: bool,
    max_seconds: float,
    begin: Callable[[Request], None],
) -> Made | Stopped:
    """Make one attempt.

    Args:
        session: the way out.
        target: the integration; None when it was deleted.
        operation: its name.
        given: the input.
        repeated: see `prepare`.
        max_seconds: a cap on the integration's own timeout: the call must end before its lease does.
        begin: called right before the call, with what is sent.
    """
    if target is None:
        return Stopped(State.FAILED, "integration_deleted", "The integration was deleted.")
    try:
        request = prepare(target, operation, given, repeated=repeated)
        if isinstance(request, Stopped):
            return request
        begin(request)
    except Exception as error:  # noqa: BLE001 - without an end it would be due again at once, for ever
        # Nothing was sent, so repeating it is harmless.
        return Made(_internal(target, error), idempotent=True)
    return Made(call(session, target, request, min(target.timeout, max_seconds)), request.idempotent)


def call(session: GuardedSession, target: Target, request: Request, timeout: float) -> Outcome:
    """Transport and redaction of a prepared request; `timeout` in seconds."""
    outcome = None
    try:
        outcome = rest.send(session, target, request, timeout)
        target.redactor.clean(outcome)
    except Exception as error:  # noqa: BLE001 - the row must be recorded whatever happened
        fault = _internal(target, error)
        # Somebody answered: what is not idempotent must not be sent again.
        fault.peer = None if outcome is None else outcome.peer
        return fault
    return outcome


def _internal(target: Target, error: Exception) -> Outcome:
    """A fault of ours, without its text or traceback: they may hold a secret."""
    log.error("A call of integration %s failed inside the hub: %s", target.id, type(error).__name__)
    return Outcome(None, ErrorClass.INTERNAL, f"The call failed inside the hub ({type(error).__name__}).")
