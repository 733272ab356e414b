"""Accepting and reading executions, the same for every door.

Accepted means committed: the answer is given after the transaction, the doorbell rings after that. An execution is
checked when it is accepted as far as it can be, so that a mistake is told to the caller and not to a log.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.access.idempotency import Replay, hash_body
from hub.access.idempotency_store import claim_key, finish_key
from hub.access.store import get_tenant
from hub.core.errors import Conflict, FieldError, HubError, Invalid, Malformed, TooLarge
from hub.core.ids import Kind, format_id, new_uuid, parse_id
from hub.db.states import State
from hub.integrations import registry, store
from hub.integrations import request as requests_
from hub.integrations.request import Operation
from hub.web.bodies import check_size, check_strict, check_text, parse_strict

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from hub.net.outcome import Outcome
    from hub.queue.contracts import SubmitExecution

MAX_ITEMS = 1000
#: Nesting of an answer that is shown as JSON; a deeper one is shown as its text.
_SHOWN_DEPTH = 128
#: What the Celery door takes; the same as the API's defaults.
_CELERY_BYTES = 1_048_576
_CELERY_DEPTH = 64
_CELERY_SCOPE = "executions.submit"


@dataclass(frozen=True, slots=True)
class Wish:
    """One operation that a caller asks for.

    Args:
        operation: its name.
        input: the call's parts, see `hub.integrations.request.build`.
        at: where it stands in the caller's body, for errors: empty, or `items.3.`.
    """

    operation: str
    input: Any
    at: str = ""


def accept(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, wishes: Sequence[Wish], *, source: str
) -> list[uuid.UUID]:
    """Write executions: all of them or none. Commit, then ring.

    Args:
        conn: a connection inside a transaction.
        tenant_id: who asks.
        integration_id: of what.
        wishes: 1 to 1,000.
        source: the door.

    Returns:
        Their ids, in order.

    Raises:
        NotFound: the tenant has no such integration.
        Conflict: it is not active.
        Invalid: an operation or an input is wrong; with one field for every fault.
    """
    row = registry.get(conn, tenant_id, integration_id)
    if row.status not in store.CALLABLE:
        raise Conflict(f"The integration is {row.status}; nothing is accepted for it until it is active.")
    operations = {name: Operation.of(stored) for name, stored in row.operations.items()}
    faults: list[FieldError] = []
    for wish in wishes:
        try:
            requests_.build(row.base_url, row.headers, operations, wish.operation, wish.input)
        except Invalid as error:
            faults += [FieldError(wish.at + fault.path, fault.message) for fault in error.fields]
    if faults:
        shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
        raise Invalid(f"{shown}.", fields=tuple(faults[:100]))
    ids = [new_uuid() for _ in wishes]
    rows = [(one, wish.operation, json.dumps(wish.input)) for one, wish in zip(ids, wishes, strict=True)]
    store.insert_executions(conn, tenant_id, integration_id, source, rows)
    return ids


def accept_from_celery(engine: Engine, payload: SubmitExecution) -> tuple[uuid.UUID, bool]:
    """The Celery door: the same row as over HTTP, once for each idempotency key, however often the message comes.

    Returns:
        The execution, and whether it is new (then ring).

    Raises:
        NotFound: no such tenant or integration.
        Conflict: the integration is not active.
        Invalid: an id, the operation or the input is wrong, or the key was used for something else.
        TooLarge: operation and input are over 1 MiB or nested deeper than 64 levels.
    """
    tenant_id = parse_id(Kind.TENANT, payload.tenant, field="tenant")
    integration_id = parse_id(Kind.INTEGRATION, payload.integration, field="integration")
    check_text(payload.idempotency_key, "idempotency_key")
    _check_as_body(payload)
    asked = json.dumps([payload.integration, payload.operation, payload.input], sort_keys=True)
    with engine.begin() as conn:
        get_tenant(conn, tenant_id)
        claimed = claim_key(
            conn, tenant_id, _CELERY_SCOPE, payload.idempotency_key, hash_body(asked.encode())
        )
        if isinstance(claimed, Replay) and claimed.resource_id is not None:
            return claimed.resource_id, False
        wish = Wish(payload.operation, payload.input)
        (execution_id,) = accept(conn, tenant_id, integration_id, [wish], source="celery")
        finish_key(
            conn,
            tenant_id,
            _CELERY_SCOPE,
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
        message = f"is nested deeper than {_CELERY_DEPTH} levels"
        raise TooLarge(f"The input {message}.", fields=(FieldError("input", message),)) from None
    except (TypeError, ValueError):  # Kombu's JSON has dates and such
        message = "holds a value that JSON does not have"
        raise Malformed(f"The input {message}.", fields=(FieldError("input", message),)) from None
    # Measured as it would have been sent; read with escapes, which also spell what UTF-8 cannot.
    check_size(len(plain.encode(errors="surrogatepass")), _CELERY_BYTES)
    check_strict(escaped.encode(), max_bytes=len(escaped), max_depth=_CELERY_DEPTH)


def cancel(conn: Connection, tenant_id: uuid.UUID, execution_id: uuid.UUID) -> bool:
    """Cancel an execution that is not finished; False when it is (or is not there).

    A call that is under way is not cut off; its attempt is recorded and its result is dropped.
    """
    moved = store.EXECUTIONS.move(
        conn,
        tenant_id,
        [execution_id],
        to=State.CANCELLED,
        allowed=(State.DUE, State.LEASED, State.HELD),
        reason="cancelled",
    )
    return execution_id in moved


def encode_body(body: bytes) -> tuple[str, bool]:
    """An answer as it is stored: UTF-8 text as it is, anything else as base64 (the flag)."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return b64encode(body).decode(), True
    # Postgres has no text with U+0000.
    return (b64encode(body).decode(), True) if "\0" in text else (text, False)


def show_body(data: str | None, headers: dict[str, str] | None, *, base64: bool) -> tuple[Any, str]:
    """A stored answer as it is shown: a JSON value when it is JSON, and the name of the encoding."""
    if base64:
        return data, "base64"
    if data and "json" in (headers or {}).get("content-type", ""):
        # Strictly: what our own answer could not hold (halves of surrogate pairs, 1e999) is shown as it came.
        try:
            return parse_strict(data.encode(), max_bytes=sys.maxsize, max_depth=_SHOWN_DEPTH), "json"
        except HubError:
            pass
    return data, "text"


def error_of(outcome: Outcome, *, recoverable: bool) -> dict[str, Any] | None:
    """Why a call failed, as it is stored and shown; None when it did not."""
    if outcome.error_class is None:
        return None
    return {"type": outcome.error_class.value, "message": outcome.message, "recoverable": recoverable}
