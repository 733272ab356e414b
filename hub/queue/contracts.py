"""What is said over Celery: task names, queue names and payloads.

Every task takes one keyword, `payload`. Fields are only ever added; a breaking change gets a new task name that ends
in `.v2`. Golden copies live in `tests/contracts`. Doorbells carry row ids and nothing else; the two intake tasks
carry what a service hands over, which is never a credential.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Queue(StrEnum):
    """Queues by latency class, not by integration."""

    EXECUTE = "hub.execute"
    DELIVER = "hub.deliver"
    BULK = "hub.bulk"
    SYSTEM = "hub.system"
    INTAKE = "hub.intake"


class TaskName(StrEnum):
    """Every task, `hub.<noun>.<verb>`."""

    EVENTS_PUBLISH = "hub.events.publish"
    EXECUTIONS_SUBMIT = "hub.executions.submit"
    EXECUTIONS_RUN = "hub.executions.run"
    DELIVERIES_SEND = "hub.deliveries.send"
    REPLAYS_RUN = "hub.replays.run"
    SCHEDULES_START = "hub.schedules.start"
    GRANTS_POLL = "hub.grants.poll"
    CHECKS_START = "hub.checks.start"
    CHECKS_RUN = "hub.checks.run"
    LEDGER_SWEEP = "hub.ledger.sweep"
    ENDPOINTS_REVIEW = "hub.endpoints.review"
    ALERTS_REVIEW = "hub.alerts.review"
    HISTORY_PRUNE = "hub.history.prune"


#: Where each task runs.
ROUTES: dict[TaskName, Queue] = {
    TaskName.EVENTS_PUBLISH: Queue.INTAKE,
    TaskName.EXECUTIONS_SUBMIT: Queue.INTAKE,
    TaskName.EXECUTIONS_RUN: Queue.EXECUTE,
    TaskName.DELIVERIES_SEND: Queue.DELIVER,
    TaskName.REPLAYS_RUN: Queue.BULK,
    TaskName.SCHEDULES_START: Queue.SYSTEM,
    TaskName.GRANTS_POLL: Queue.SYSTEM,
    TaskName.CHECKS_START: Queue.SYSTEM,
    TaskName.CHECKS_RUN: Queue.SYSTEM,
    TaskName.LEDGER_SWEEP: Queue.SYSTEM,
    TaskName.ENDPOINTS_REVIEW: Queue.SYSTEM,
    TaskName.ALERTS_REVIEW: Queue.SYSTEM,
    TaskName.HISTORY_PRUNE: Queue.SYSTEM,
}

#: Ids that one doorbell names at most; they are for people who read Flower, the pump claims whatever is due.
DOORBELL_IDS = 50


class Payload(BaseModel):
    """The root of all payloads: a newer sender's extra fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Doorbell(Payload):
    """There is work; these rows among others."""

    ids: list[str] = Field(default=[], max_length=DOORBELL_IDS)


class Tick(Payload):
    """A periodic job is due."""

    name: str
    scheduled_for: str


class EventIn(Payload):
    """One event of `hub.events.publish`.

    Attributes:
        id: the id that makes a repeat harmless; also the `webhook-id`.
        type: dotted event type.
        data: the JSON text of the payload, byte for byte what receivers get.
        labels, ordering_key, deliver_at, expires_at: as over HTTP; times are RFC 3339 texts.
    """

    id: str = Field(min_length=1, max_length=256)
    type: str = Field(min_length=1, max_length=256)
    data: str = Field(max_length=1_048_576)
    labels: list[str] | None = None
    ordering_key: str | None = None
    deliver_at: str | None = None
    expires_at: str | None = None


class PublishEvents(Payload):
    """A service publishes events through its broker."""

    tenant: str
    events: list[EventIn] = Field(min_length=1, max_length=1000)


class SubmitExecution(Payload):
    """A service asks for one execution through its broker.

    Attributes:
        tenant: tenant id.
        idempotency_key: makes a repeat harmless.
        integration: integration id.
        operation: name of the operation.
        input: what the operation takes.
        user: on whose behalf.
        component: which part of the sender's system asks.
        traceparent: W3C trace context; unset or unreadable, a new trace begins.
    """

    tenant: str
    idempotency_key: str = Field(min_length=1, max_length=256)
    integration: str
    operation: str
    input: dict[str, Any] = {}
    user: str | None = Field(default=None, min_length=1, max_length=256)
    component: str | None = Field(default=None, min_length=1, max_length=128)
    traceparent: str | None = Field(default=None, max_length=512)
