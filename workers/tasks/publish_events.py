"""The Celery door for events."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.core.errors import HubError
from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.queue.contracts import PublishEvents, Queue, TaskName
from hub.webhooks.intake import accept_events
from workers import context
from workers.rejected import record
from workers.task import hub_task


@hub_task(TaskName.EVENTS_PUBLISH, PublishEvents)
def publish_events(payload: PublishEvents) -> dict[str, int] | str:
    """Write the events; a repeat of the message is harmless, the ids are the publisher's."""
    try:
        receipts = accept_events(
            get_engine(), payload, context.get_catalogue(), now=datetime.now(UTC),
            max_depth=get_settings().api_max_json_depth,
        )  # fmt: skip
    except HubError as error:
        _reject(payload, error.detail)
        return "rejected"
    accepted = [receipt.id for receipt in receipts if receipt.status == "accepted"]
    if accepted:
        context.get_bell().ring(TaskName.DELIVERIES_SEND, accepted)
    conflicts = [receipt.id for receipt in receipts if receipt.status == "conflict"]
    if conflicts:
        _reject(
            payload,
            f"Not written, for their ids were used before with other content: {', '.join(conflicts)}.",
        )
    return {
        "accepted": len(accepted),
        "repeated": len(receipts) - len(accepted) - len(conflicts),
        "conflicts": len(conflicts),
    }


def _reject(payload: PublishEvents, reason: str) -> None:
    """Nobody waits for an answer, so the refusal is kept where a person finds it."""
    record(
        task=TaskName.EVENTS_PUBLISH.value, queue=Queue.INTAKE.value, reason=reason, headers={},
        body=payload.model_dump(exclude={"events": {"__all__": {"data"}}}),
    )  # fmt: skip
