"""What the hub itself has to say: events about endpoints and deliveries, for the operator's own endpoints.

They are messages like any other (`source` is `hub`), written in the transaction that made them true, and go to the
tenant's endpoints of kind `operations`, and to no others. What happens to them is not announced in turn.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.ids import Kind, format_id, new_uuid
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.store import NewMessage

if TYPE_CHECKING:
    import uuid

    from hub.net.outcome import Outcome
    from hub.webhooks.job import Job


class Operation(StrEnum):
    """Types of these events."""

    ENDPOINT_FAILING = "endpoint.failing"
    ENDPOINT_DISABLED = "endpoint.disabled"
    MESSAGE_EXHAUSTED = "message.exhausted"
    MESSAGE_RECOVERED = "message.recovered"


def announcement(tenant_id: uuid.UUID, operation: Operation, data: dict[str, Any]) -> NewMessage:
    """An operational event as it is written."""
    text = msgspec.json.encode(data).decode()
    return NewMessage(new_uuid(), tenant_id, operation.value, text, OPERATIONAL)


def of_endpoint(endpoint_id: uuid.UUID, name: str, reason: str, **more: Any) -> dict[str, Any]:
    """The data of an event about an endpoint."""
    return {"endpoint": {"id": format_id(Kind.ENDPOINT, endpoint_id), "name": name}, "reason": reason, **more}


def of_delivery(job: Job, outcome: Outcome, reason: str | None) -> dict[str, Any]:
    """The data of an event about a delivery: which one, and what its last attempt brought."""
    return {
        "event": {
            "id": format_id(Kind.MESSAGE, job.envelope.message_id),
            "webhook_id": job.envelope.webhook_id,
            "type": job.envelope.type,
        },
        "endpoint": {"id": format_id(Kind.ENDPOINT, job.target.id), "name": job.target.name},
        "delivery": format_id(Kind.DELIVERY, job.id),
        "attempts": job.attempt,
        "reason": reason,
        "last_attempt": {
            "status": outcome.status,
            "error_class": None if outcome.error_class is None else outcome.error_class.value,
            "message": outcome.message or None,
        },
    }
