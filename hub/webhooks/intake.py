"""Events that come through the broker: the same checks and the same rows as over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.access.store import get_tenant
from hub.core.errors import Conflict
from hub.core.ids import Kind, parse_id
from hub.web.bodies import check_strict
from hub.webhooks.events import make_event
from hub.webhooks.publishing import Publication, Receipt, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hub.queue.contracts import PublishEvents

_MAX_BYTES = 4 * 1_048_576


def accept_events(engine: Engine, payload: PublishEvents, *, max_depth: int) -> list[Receipt]:
    """Write events that a service put into the broker.

    Args:
        engine: the database.
        payload: the message.
        max_depth: deepest nesting of an event's JSON.

    Raises:
        Invalid: an event is not acceptable; none is written.
        NotFound: there is no such tenant.
    """
    events = []
    for index, item in enumerate(payload.events):
        check_strict(item.data.encode(), max_bytes=_MAX_BYTES, max_depth=max_depth)
        events.append(make_event(item.type, item.data, item.id, prefix=f"events.{index}."))
    tenant_id = parse_id(Kind.TENANT, payload.tenant, field="tenant")
    with engine.begin() as conn:
        get_tenant(conn, tenant_id)
        answer = write(conn, [Publication(tenant_id, events, "celery")])[0]
    if not isinstance(answer, list):  # no request key is given, so none can be reused
        raise Conflict(str(answer))
    return answer
