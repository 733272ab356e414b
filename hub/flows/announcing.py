"""What the end of executions is to others: events for those who listen to the hub, and what flows publish.

Written in the transaction that ends the executions, so that nobody hears of an end that did not happen, and no end is
kept from those who listen. Telling never undoes an end: an event that cannot be made is noted in the audit log instead.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.access import audit
from hub.core.errors import HubError, Invalid
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.states import State
from hub.flows import store
from hub.integrations.pipeline.masking import MASK
from hub.queue.contracts import TaskName
from hub.transforms import Cancelled, acting_for, compile_steps
from hub.web.bodies import check_strict, parse_strict
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.store import NewMessage, insert_messages

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from hub.flows.store import Publishing
    from hub.integrations.executions.job import Ended, Job
    from hub.transforms import Sandbox

log = logging.getLogger(__name__)

#: The door that flows' events come through.
SOURCE = "flow"
#: What the audit log says of an event that could not be made.
UNPUBLISHED = "flow.publish_failed"
#: Executions that one entry of it names.
_NAMED = 20
#: Bytes of an answer that an event about it carries.
_MAX_DATA = 65_536
#: Nesting and bytes of events, as at the other doors.
_MAX_DEPTH = 64
_MAX_EVENT = 1_048_576
_NAMES = {
    State.DONE: "execution.succeeded",
    State.FAILED: "execution.failed",
    State.CANCELLED: "execution.cancelled",
    State.SKIPPED: "execution.skipped",
    State.EXPIRED: "execution.expired",
}


class Unpublished(NamedTuple):
    """Stands where an event would that could not be made.

    Args:
        event_type: which event.
        why: a sentence without values.
        data: there is none.
    """

    event_type: str | None
    why: str
    data: str = ""


class Announcer:
    """Tells of ended executions.

    Args:
        sandbox: for expressions in what flows publish.
        ring: tells the delivery pump.
    """

    def __init__(self, sandbox: Sandbox | None, ring: Callable[[TaskName], object]) -> None:
        self._sandbox = sandbox
        self._ring = ring

    def announce(self, conn: Connection, ended: Sequence[Ended]) -> Callable[[], None] | None:
        """Write the events: a statement to know who listens, one for flows, one for all events, one for what is lost.

        Args:
            conn: the transaction that ends the executions.
            ended: at least one.

        Returns:
            What is to be done after the commit; None when nothing was written.
        """
        listening = store.tenants_with_listeners(conn, {one.job.tenant_id for one in ended})
        messages = [_event(one) for one in ended if one.job.tenant_id in listening]
        unread = [one.job for one in ended if one.job.flow_id is not None and one.job.published is None]
        if unread:
            # Given up, or not made in the thread of its call.
            self.load(conn, unread)
        lost: list[tuple[Job, Unpublished]] = []
        for one in ended:
            if one.job.published is None:
                self.make(one)
            for made in one.job.published or ():
                if isinstance(made, Unpublished):
                    lost.append((one.job, made))
                else:
                    messages.append(made)
        _note_lost(conn, lost)
        return self.publish(conn, messages)

    def publish(self, conn: Connection, messages: Sequence[NewMessage]) -> Callable[[], None] | None:
        """Write events: one statement, or none; gives back what is to be done after the commit."""
        if not messages:
            return None
        insert_messages(conn, messages)

        def ring() -> None:
            self._ring(TaskName.DELIVERIES_SEND)

        return ring

    def load(self, conn: Connection, jobs: Sequence[Job]) -> None:
        """Note what flows publish: one statement, or none."""
        flows = {job.flow_id for job in jobs if job.flow_id is not None}
        if flows:
            publishing = store.load_publishing(conn, flows)
            for job in jobs:
                job.publish = None if job.flow_id is None else publishing.get(job.flow_id)

    def make(self, ended: Ended) -> None:
        """Make what a flow publishes of an end. Steps over a large event may take seconds."""
        publish: Publishing | None = ended.job.publish
        with acting_for(ended.job.tenant_id):
            made = [self._made(ended, publish.name, rule) for rule in publish.rules] if publish else []
        ended.job.published = [one for one in made if one is not None]

    def _made(self, one: Ended, flow: str, rule: Mapping[str, Any]) -> NewMessage | Unpublished | None:
        """What becomes of a rule; None: nothing is to be published."""
        event_type = None
        try:
            event_type = rule["event_type"]
            came = {State.DONE: "succeeded", State.FAILED: "failed"}.get(one.state)
            data = self._data(one, rule["mapping"]) if rule["on"] in {"ended", came} else None
        except HubError as error:
            lost = Unpublished(event_type, error.detail)
        except Exception as error:  # noqa: BLE001 - the execution has ended whatever becomes of its event
            lost = Unpublished(event_type, f"It failed inside the hub ({type(error).__name__}).")
        else:
            job = one.job
            if data is None:
                return None
            return NewMessage(
                new_uuid(),
                job.tenant_id,
                event_type,
                data,
                SOURCE,
                traceparent=job.traceparent,
                depth=job.depth,
            )
        log.error("What flow %s publishes as %s could not be made: %s", flow, event_type, lost.why)
        return lost

    def _data(self, one: Ended, mapping: Any) -> str | None:
        """The event's data; None: a step says that there is to be none.

        Raises:
            HubError: it cannot be made; says why, without values.
        """
        document = _about(one)
        if mapping:
            if one.job.event == MASK and "event" in json.dumps(mapping):
                # It would be told as if it had been empty.
                raise Invalid(
                    "The event that started the execution was not kept, by its integration's data policy."
                )
            made = compile_steps(mapping).run({**document, "event": one.job.event}, self._sandbox)
            if isinstance(made, Cancelled):
                return None
            document = made.document
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        try:
            # An expression can make what no other door takes.
            check_strict(text.encode(errors="surrogatepass"), max_bytes=_MAX_EVENT, max_depth=_MAX_DEPTH)
        except HubError as error:
            # Without the place: names of fields are made of values here.
            raise Invalid(f"It cannot be an event: it {error.fields[0].message}.") from None
        return text


def _note_lost(conn: Connection, lost: Iterable[tuple[Job, Unpublished]]) -> None:
    """Note events that could not be made: one statement, or none; one entry for what failed alike."""
    alike: dict[tuple[uuid.UUID, uuid.UUID, Unpublished], list[Job]] = {}
    for job, one in lost:
        assert job.flow_id is not None
        alike.setdefault((job.tenant_id, job.flow_id, one), []).append(job)
    if not alike:
        return
    audit.note_all(
        conn,
        [
            audit.Entry(
                tenant_id,
                None,
                UNPUBLISHED,
                format_id(Kind.FLOW, flow_id),
                {
                    "name": jobs[0].publish.name,
                    "event_type": one.event_type,
                    "executions": [format_id(Kind.EXECUTION, job.id) for job in jobs[:_NAMED]],
                    "count": len(jobs),
                    "why": one.why,
                },
            )
            for (tenant_id, flow_id, one), jobs in alike.items()
        ],
    )


def _about(one: Ended) -> dict[str, Any]:
    end, job = one.end, one.job
    data: Any = None
    if end.data is not None and not end.data_base64 and len(end.data) <= _MAX_DATA:
        try:
            # Strictly: what no JSON of ours could hold (halves of surrogate pairs, NaN, a deep nest) is told as text.
            data = parse_strict(end.data.encode(), max_bytes=4 * _MAX_DATA, max_depth=_MAX_DEPTH)
        except HubError:
            data = end.data
    return {
        "execution": format_id(Kind.EXECUTION, job.id),
        "integration": format_id(Kind.INTEGRATION, job.integration_id),
        "operation": job.operation,
        "state": one.state.value,
        "reason": one.reason,
        "attempts": job.attempt,
        "status": end.status,
        "data": data,
        "error": end.error,
    }


def _event(one: Ended) -> NewMessage:
    text = json.dumps(_about(one), ensure_ascii=False, separators=(",", ":"))
    return NewMessage(
        new_uuid(),
        one.job.tenant_id,
        _NAMES[one.state],
        text,
        OPERATIONAL,
        traceparent=one.job.traceparent,
        depth=one.job.depth,
    )
