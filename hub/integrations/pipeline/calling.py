"""The call itself: credentials, transport, redaction, and what the answer means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hub.integrations.pipeline import mapping
from hub.integrations.transports.interface import Caps
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.pipeline.call import Call, Stopped, Tools
    from hub.integrations.transports.interface import Connection, Transport

log = logging.getLogger(__name__)


def transport(call: Call, tools: Tools) -> None:
    """Send what was prepared. Never raises."""
    assert call.prepared is not None
    prepared = call.prepared
    _make(call, lambda way, to, credentials, caps: way.send(tools.session, to, prepared, credentials, caps))


def probe(call: Call, tools: Tools) -> None:
    """Have the transport prove that the service is there. Never raises."""
    _make(call, lambda way, to, credentials, caps: way.probe(tools.session, to, credentials, caps))


def _make(call: Call, send: Callable[[Transport, Connection, Credentials, Caps], Outcome]) -> None:
    target = call.target
    assert call.credentials is not None
    caps = Caps(
        timeout=call.timeout,
        max_bytes=target.max_bytes,
        cancellation=call.cancellation,
        idempotency_key=call.context.execution_id.hex,
    )
    outcome = None
    try:
        outcome = send(target.transport, target.connection, call.credentials, caps)
        (call.redactor or target.redactor).clean(outcome)
        call.outcome, call.received = outcome, len(outcome.body)
    except Exception as error:  # noqa: BLE001 - the row must be recorded whatever happened
        call.outcome, call.unknown = internal(call, error), True
        call.outcome.peer = None if outcome is None else outcome.peer


def error_mapping(call: Call, _tools: Tools) -> Stopped | None:
    """What the answer means by the integration's rules."""
    assert call.outcome is not None
    if call.outcome.error_class is not ErrorClass.INTERNAL:
        call.action = mapping.apply(call.target.rules, call.outcome)
    return None


def internal(call: Call, error: Exception) -> Outcome:
    """A fault of ours, without its text or traceback: they may hold a secret."""
    log.error("A call of integration %s failed inside the hub: %s", call.target.id, type(error).__name__)
    return Outcome(None, ErrorClass.INTERNAL, f"The call failed inside the hub ({type(error).__name__}).")
