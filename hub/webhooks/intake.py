"""Events that come through the broker: the same checks and the same rows as over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.access.store import get_tenant
from hub.core.errors import Conflict, Invalid
from hub.core.ids import Kind, parse_id
from hub.web.bodies import check_strict
from hub.webhooks.events import Event, make_event, make_options, parse_time, refuse
from hub.webhooks.judging import judge
from hub.webhooks.publishing import Publication, Receipt, write

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from hub.queue.contracts import PublishEvents
    from hub.webhooks.catalogue.validation import Catalogue

_MAX_BYTES = 4 * 1_048_576


def accept_events(
    engine: Engine, payload: PublishEvents, catalogue: Catalogue, *, now: datetime, max_depth: int
) -> list[Receipt]:
    """Write events that a service put into the broker.

    Args:
        engine: the database.
        payload: the message.
        catalogue: the tenants' event types.
        now: judges `deliver_at` and `expires_at`.
        max_depth: deepest nesting of an event's JSON.

    Raises:
        Invalid: an event is not acceptable; none is written.
        NotFound: there is no such tenant.
    """
    events: list[Event | Invalid] = []
    for index, item in enumerate(payload.events):
        prefix = f"events.{index}."
        check_strict(item.data.encode(), max_bytes=_MAX_BYTES, max_depth=max_depth)
        options = make_options(
            now,
            labels=item.labels or (),
            ordering_key=item.ordering_key,
            deliver_at=parse_time(item.deliver_at, field=f"{prefix}deliver_at"),
            expires_at=parse_time(item.expires_at, field=f"{prefix}expires_at"),
            prefix=prefix,
        )
        events.append(make_event(item.type, item.data, item.id, options, prefix=prefix))
    tenant_id = parse_id(Kind.TENANT, payload.tenant, field="tenant")
    judged = judge(catalogue.check, tenant_id, events, is_list=True) or []
    refuse(one.event for one in judged if isinstance(one.event, Invalid))
    accepted = [one.event for one in judged if isinstance(one.event, Event)]
    with engine.begin() as conn:
        get_tenant(conn, tenant_id)
        answer = write(conn, [Publication(tenant_id, accepted, "celery")])[0]
    if not isinstance(answer, list):  # no request key is given, so none can be reused
        raise Conflict(str(answer))
    return answer
