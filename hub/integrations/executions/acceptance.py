"""Accepting what one HTTP request asks for: commit, then ring, once for each idempotency key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.errors import FieldError, Invalid, NotFound
from hub.core.ids import Kind, format_id, new_uuid, parse_id
from hub.db.states import State
from hub.integrations.executions import store
from hub.integrations.executions.accepting import REFUSALS, Caller, Origin, Wish, note_refusal
from hub.integrations.executions.tracing import continue_trace
from hub.integrations.pipeline.masking import is_masked
from hub.queue.contracts import TaskName
from hub.web.idempotency import run_idempotent

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection, Row
    from starlette.requests import Request
    from starlette.responses import Response

    from hub.access.principal import Principal
    from hub.integrations.executions.schemas import ReplayIn
    from hub.integrations.services import Bench
    from hub.web.services import Services

#: The header that says when something was deprecated (RFC 9745).
DEPRECATION = "Deprecation"

_NOT_KEPT = "is required: that of the execution was not kept whole, as the integration's data policy says"
_EVENT_NOT_KEPT = (
    "is required, as the operation takes it: the event that started the execution was not kept, as the integration's"
    " data policy says"
)


def find(conn: Connection, tenant_id: uuid.UUID, execution_id: uuid.UUID) -> Row[Any]:
    """One execution of a tenant.

    Raises:
        NotFound: there is none.
    """
    row = store.find_execution(conn, tenant_id, execution_id)
    if row is None:
        raise NotFound(f"There is no execution {format_id(Kind.EXECUTION, execution_id)}.")
    return row


class Acceptance:
    """Accepts what one request asks for: commit, then ring.

    Args:
        hub: the application's services.
        workshop: the doors.
        caller: who asks.
        request: its headers hold the idempotency key.
        scope: the kind of request, for that key.
        raw: the body, likewise.
    """

    def __init__(
        self, hub: Services, workshop: Bench, caller: Principal, request: Request, scope: str, raw: bytes
    ) -> None:
        self._hub = hub
        self._workshop = workshop
        self._caller = caller
        self._request = request
        self._scope = scope
        self._raw = raw

    def one(self, integration_id: str, wish: Wish) -> tuple[Response, list[str]]:
        """Accept one execution; the response and its public id, also of a replayed answer."""
        return self._run(_integration(integration_id), [wish], source="http")

    def again(self, execution_id: Any, changes: ReplayIn) -> tuple[Response, list[str]]:
        """Accept an execution like an earlier one.

        With its own input, what a flow started is that flow's once more: the event goes through its mapping, and the
        end is published. With another input it is a plain execution.
        """
        with self._hub.engine.connect() as conn:
            row = find(conn, self._caller.tenant_id, execution_id)
        if changes.input is None and is_masked(row.input):
            text = _NOT_KEPT if row.flow_id is None else _EVENT_NOT_KEPT
            raise Invalid(f"input {text}.", fields=(FieldError("input", text),))
        origin = _origin(row) if changes.input is None else None
        wish = Wish(
            changes.operation or row.operation,
            row.input if changes.input is None else changes.input,
            user=row.on_behalf_of,
            component=row.component,
            traceparent=continue_trace(row.traceparent),
            depth=0 if origin is None else row.depth,
            origin=origin,
        )
        return self._run(row.integration_id, [wish], source="replay", replay_of=row.id)

    def many(self, integration_id: str, wishes: list[Wish]) -> Response:
        """Accept a batch."""
        return self._run(
            _integration(integration_id),
            wishes,
            source="http",
            batch_id=new_uuid(),
        )[0]

    def _run(
        self, integration_id: Any, wishes: list[Wish], *, source: str, **marks: Any
    ) -> tuple[Response, list[str]]:
        fresh: list[str] = []
        deprecated: list[int] = []
        caller = Caller(self._caller.key_id, self._caller.roles)
        batch_id = marks.get("batch_id")

        def work(conn: Any) -> tuple[int, dict[str, Any], Any]:
            target = self._workshop.doors.target(conn, self._caller.tenant_id, integration_id)
            if target.deprecated or any(target.is_deprecated(wish.operation) for wish in wishes):
                deprecated.append(int(target.changed_at.timestamp()))
            ids = self._workshop.doors.accept(
                conn, self._caller.tenant_id, integration_id, wishes, source=source, caller=caller, **marks
            )
            fresh.extend(format_id(Kind.EXECUTION, one) for one in ids)
            entries = [{"id": one, "state": State.DUE.value} for one in fresh]
            if batch_id is None:
                return 202, entries[0], ids[0]
            return 202, {"id": format_id(Kind.BATCH, batch_id), "data": entries}, ids[0]

        # A key of its own for each caller: who is not let in must not be given what others were answered.
        scope = f"integrations/{self._caller.key_id.hex}/{self._scope}"
        try:
            response = run_idempotent(self._hub, self._caller, self._request.headers, scope, self._raw, work)
        except REFUSALS as error:
            with self._hub.engine.begin() as conn:
                note_refusal(
                    conn,
                    self._caller.tenant_id,
                    caller,
                    integration_id,
                    error,
                    source=source,
                    operations=sorted({wish.operation for wish in wishes})[:20],
                    user=wishes[0].user,
                )
            raise
        if deprecated:
            # It works, and says so (RFC 9745).
            response.headers[DEPRECATION] = f"@{deprecated[0]}"
        if fresh:
            self._hub.ring(TaskName.EXECUTIONS_RUN, fresh)
            return response, fresh
        answer = json.loads(bytes(response.body))
        return response, [entry["id"] for entry in answer.get("data", [answer])]


def _origin(row: Row[Any]) -> Origin | None:
    if row.flow_id is None:
        return None
    return Origin(row.flow_id, row.event_id, msgspec.Raw(msgspec.json.encode(row.mapping)))


def _integration(text: str) -> uuid.UUID:
    return parse_id(Kind.INTEGRATION, text, field="path.integration_id")
