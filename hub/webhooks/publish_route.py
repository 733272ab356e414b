"""`POST /v1/events`: the hot route, a plain Starlette handler on raw bytes (half the cost of a FastAPI route here)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hub.access.idempotency import check_key, hash_body
from hub.access.scopes import Scope
from hub.core.errors import Conflict, FieldError, Invalid
from hub.integrations.executions.tracing import take_trace
from hub.web.auth import authenticate
from hub.web.bodies import check_strict
from hub.webhooks.events import Event, read_events, refuse
from hub.webhooks.judging import judge
from hub.webhooks.publishing import Publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from starlette.requests import Request

    from hub.web.services import Services
    from hub.webhooks.catalogue.validation import Catalogue
    from hub.webhooks.committer import Committer
    from hub.webhooks.judging import Judged
    from hub.webhooks.publishing import Receipt

#: Events that are judged on the event loop.
_FEW = 8
_encode = msgspec.json.encode


async def publish_events(request: Request) -> Response:
    """Accept one event (an object) or a list; 202 once they are committed.

    A list is accepted as a whole or not at all; with `?partial=true` each event that is not acceptable gets the
    receipt `invalid` and the others are accepted.

    Raises:
        HubError: rendered as problem+json by the application.
    """
    hub: Services = request.app.state.services
    committer: Committer = request.app.state.committer
    caller = await authenticate(request.headers, hub)
    caller.require(Scope.EVENTS_WRITE)
    raw = await request.body()
    check_strict(raw, max_bytes=hub.settings.api_max_body_bytes, max_depth=hub.settings.api_max_json_depth)
    events, is_list = read_events(raw, datetime.now(UTC))
    judged = await _judge(request.app.state.catalogue, caller.tenant_id, events, is_list=is_list)
    if not (is_list and _is_partial(request)):
        refuse(one.event for one in judged if isinstance(one.event, Invalid))
    accepted = [one.event for one in judged if isinstance(one.event, Event)]
    key = request.headers.get("idempotency-key")
    receipts: Iterator[Receipt] = iter(())
    if accepted:
        publication = Publication(
            caller.tenant_id,
            accepted,
            "http",
            None if key is None else (check_key(key), hash_body(raw)),
            take_trace(request.headers.get("traceparent")),
        )
        receipts = iter(await committer.publish(publication))
    answers = [_answer(one, receipts) for one in judged]
    if is_list:
        return _accepted({"data": answers})
    if answers[0]["status"] == "conflict":
        raise Conflict(
            f"The event id {answers[0]['id']} was used before with other content; nothing was written."
        )
    return _accepted(answers[0])


def _is_partial(request: Request) -> bool:
    value = request.query_params.get("partial", "false")
    if value not in {"true", "false"}:
        message = "must be true or false"
        raise Invalid(f"query.partial {message}.", fields=(FieldError("query.partial", message),))
    return value == "true"


async def _judge(
    catalogue: Catalogue, tenant_id: UUID, events: Sequence[Event | Invalid], *, is_list: bool
) -> list[Judged]:
    """Judge by what is known; in a thread when the database has to be asked or there is much to do."""
    if len(events) <= _FEW:
        judged = judge(catalogue.check_from_memory, tenant_id, events, is_list=is_list)
        if judged is not None:
            return judged
    judged = await run_in_threadpool(judge, catalogue.check, tenant_id, events, is_list=is_list)
    assert judged is not None
    return judged


def _answer(one: Judged, receipts: Iterator[Receipt]) -> dict[str, Any]:
    if isinstance(one.event, Invalid):
        return {"id": None, "status": "invalid", "errors": _fields(one.event.fields)}
    receipt: dict[str, Any] = next(receipts).as_dict()
    if one.warnings:
        receipt["warnings"] = _fields(one.warnings)
    return receipt


def _fields(fields: Sequence[FieldError]) -> list[dict[str, str]]:
    return [{"path": field.path, "message": field.message} for field in fields]


def _accepted(body: object) -> Response:
    return Response(_encode(body), status_code=202, media_type="application/json")
