"""The Celery door of executions: a message is judged as a body over HTTP is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hub.access.idempotency import Replay, hash_body
from hub.access.idempotency_store import claim_key, finish_key
from hub.access.store import get_tenant
from hub.core.errors import FieldError, Malformed, TooLarge
from hub.core.ids import Kind, format_id, parse_id
from hub.integrations.executions.accepting import REFUSALS, Caller, Wish, note_refusal
from hub.integrations.executions.tracing import continue_trace
from hub.web.bodies import check_size, check_strict, check_text

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Engine

    from hub.integrations.executions.accepting import Doors
    from hub.queue.contracts import SubmitExecution

#: What the door takes; the same as the API's defaults.
_BYTES = 1_048_576
_DEPTH = 64
_SCOPE = "executions.submit"


def accept_from_celery(engine: Engine, doors: Doors, payload: SubmitExecution) -> tuple[uuid.UUID, bool]:
    """The Celery door: the same row as over HTTP, once for each idempotency key, however often the message comes.

    Returns:
        The execution, and whether it is new (then ring).

    Raises:
        NotFound: no such tenant or integration.
        Conflict: the integration is inactive.
        Refused: its access rules do not name the user.
        Invalid: an id, the operation or the input is wrong, or the key was used for something else.
        TooLarge: operation and input are over 1 MiB or nested deeper than 64 levels.
    """
    tenant_id = parse_id(Kind.TENANT, payload.tenant, field="tenant")
    integration_id = parse_id(Kind.INTEGRATION, payload.integration, field="integration")
    check_text(payload.idempotency_key, "idempotency_key")
    for name, text in (("user", payload.user), ("component", payload.component)):
        if text is not None:
            check_text(text, name)
    _check_as_body(payload)
    try:
        return _accept(engine, doors, tenant_id, integration_id, payload)
    except REFUSALS as error:
        with engine.begin() as conn:
            note_refusal(
                conn,
                tenant_id,
                Caller(),
                integration_id,
                error,
                source="celery",
                operations=[payload.operation],
                user=payload.user,
            )
        raise


def _accept(
    engine: Engine,
    doors: Doors,
    tenant_id: uuid.UUID,
    integration_id: uuid.UUID,
    payload: SubmitExecution,
) -> tuple[uuid.UUID, bool]:
    asked = json.dumps(
        [payload.integration, payload.operation, payload.input, payload.user, payload.component],
        sort_keys=True,
    )
    with engine.begin() as conn:
        get_tenant(conn, tenant_id)
        claimed = claim_key(conn, tenant_id, _SCOPE, payload.idempotency_key, hash_body(asked.encode()))
        if isinstance(claimed, Replay) and claimed.resource_id is not None:
            return claimed.resource_id, False
        wish = Wish(
            payload.operation,
            payload.input,
            user=payload.user,
            component=payload.component,
            traceparent=continue_trace(payload.traceparent),
        )
        (execution_id,) = doors.accept(
            conn, tenant_id, integration_id, [wish], source="celery", caller=Caller()
        )
        finish_key(
            conn,
            tenant_id,
            _SCOPE,
            payload.idempotency_key,
            status=202,
            response={"id": format_id(Kind.EXECUTION, execution_id)},
            resource_id=execution_id,
        )
    return execution_id, True


def _check_as_body(payload: SubmitExecution) -> None:
    """Check what a message asks for as the HTTP door checks its body: size, depth, numbers, text."""
    asked = {"operation": payload.operation, "input": payload.input}
    try:
        plain = json.dumps(asked, ensure_ascii=False)
        escaped = json.dumps(asked)
    except RecursionError:
        message = f"is nested deeper than {_DEPTH} levels"
        raise TooLarge(f"The input {message}.", fields=(FieldError("input", message),)) from None
    except (TypeError, ValueError):  # Kombu's JSON has dates and such
        message = "holds a value that JSON does not have"
        raise Malformed(f"The input {message}.", fields=(FieldError("input", message),)) from None
    # Measured as it would have been sent; read with escapes, which also spell what UTF-8 cannot.
    check_size(len(plain.encode(errors="surrogatepass")), _BYTES)
    check_strict(escaped.encode(), max_bytes=len(escaped), max_depth=_DEPTH)
