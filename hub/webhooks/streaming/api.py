"""The route of the stream."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request

from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.core.errors import FieldError, Invalid
from hub.core.ids import Kind, parse_id
from hub.web.auth import authenticate, requires
from hub.web.problems import MEDIA_TYPE
from hub.web.services import Hub
from hub.webhooks.matching import LABEL_RULE, is_label, is_pattern
from hub.webhooks.streaming.response import Audience, EventStream

router = APIRouter(tags=["Events"])

_MAX_WORDS = 100
_EXAMPLE = (
    "id: msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e\nevent: invoice.paid\n"
    'data: {"id":"invoice-in_42-paid","traceparent":"00-01a20714f2ca7005aba8621a7d1d0ca8-aba8621a7d1d0ca8-01",'
    '"type":"invoice.paid","timestamp":"2026-11-22T18:00:00.000000Z",'
    '"data":{"invoice":"in_42"}}\n\n'
)
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events until either side ends it.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    429: {
        "description": "The tenant has as many streams open as it may.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
}

Reader = Annotated[Principal, requires("events:read")]


@router.get(
    "/events/stream",
    summary="Follow events as they are accepted",
    status_code=200,
    response_class=EventStream,
    responses=_ANSWERS,
)
async def stream_events(
    request: Request,
    hub: Hub,
    caller: Reader,
    types: Annotated[
        list[str],
        Query(description="Event types, prefixes such as `invoice.*`, or `*`; with commas, or repeated."),
    ] = [],  # noqa: B006 - FastAPI copies it
    labels: Annotated[
        list[str], Query(description="Only events that carry one of them; with commas, or repeated.")
    ] = [],  # noqa: B006
    kind: Annotated[
        Literal["events", "operations"] | None,
        Query(description="`operations`: what the hub says about endpoints and deliveries. Unset: both."),
    ] = None,
    after: Annotated[
        str | None, Query(description="`msg_…` to resume after. Unset: only what is accepted from now on.")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="As `after`, and before it; browsers and SSE clients send it.")
    ] = None,
) -> EventStream:
    """Server-sent events: `id` is the event's id, `data` its JSON, with the publisher's bytes as `data`.

    Each event comes at least once and usually in the order of acceptance; one that became visible after younger ones
    comes when it does, up to ten seconds later. A stream that is resumed begins ten seconds before its place: drop what
    you have by its id. An `id` without data moves the place to resume from. A comment comes every 15 seconds.
    """
    audience = Audience(
        _words(types, "types", is_pattern, "must be an event type, a prefix such as `invoice.*`, or `*`")
        or ("*",),
        frozenset(_words(labels, "labels", is_label, LABEL_RULE)),
        kind,
    )

    async def check() -> None:
        (await authenticate(request.headers, hub)).require(Scope.EVENTS_READ)

    return EventStream(
        request.app.state.streams,
        caller.tenant_id,
        audience,
        after=_place(after, last_event_id),
        check=check,
    )


def _place(after: str | None, last_event_id: str | None) -> uuid.UUID | None:
    if last_event_id:
        return parse_id(Kind.MESSAGE, last_event_id, field="header.Last-Event-ID")
    return parse_id(Kind.MESSAGE, after, field="query.after") if after is not None else None


def _words(given: list[str], name: str, is_good: Any, rule: str) -> tuple[str, ...]:
    words = [word.strip() for text in given for word in text.split(",")]
    words = [word for word in words if word]
    faults = [] if len(words) <= _MAX_WORDS else [f"must be {_MAX_WORDS} at most"]
    faults += [f"{ascii(word[:128])[1:-1]}: {rule}" for word in words if not is_good(word)][:5]
    if faults:
        field = f"query.{name}"
        raise Invalid(
            f"{field}: {'; '.join(faults)}.", fields=tuple(FieldError(field, one) for one in faults)
        )
    return tuple(dict.fromkeys(words))
