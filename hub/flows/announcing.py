"""What the end of executions is to others: events for those who listen to the hub, and what flows publish.

Written in the transaction that ends the executions, so that nobody hears of an end that did not happen, and no end is
kept from those who listen.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.states import State
from hub.flows import store
from hub.queue.contracts import TaskName
from hub.transforms import Cancelled, acting_for, compile_steps
from hub.web.bodies import check_strict, parse_strict
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.store import NewMessage, insert_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Row

    from hub.integrations.executions.job import Ended, Job
    from hub.transforms import Sandbox

log = logging.getLogger(__name__)

#: The door that flows' events come through.
SOURCE = "flow"
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
        """Write the events: one statement to know who listens, one for flows, one for all events.

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
        for one in ended:
            if one.job.published is None:
                self.make(one)
            messages += one.job.published or ()
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
        row = ended.job.publish
        with acting_for(ended.job.tenant_id):
            ended.job.published = [] if row is None else list(self._published(ended, row))

    def _published(self, one: Ended, row: Row[Any, Any, Any, Any]) -> Iterable[NewMessage]:
        came = {State.DONE: "succeeded", State.FAILED: "failed"}.get(one.state)
        for rule in row.publish:
            if rule["on"] not in {"ended", came}:
                continue
            data = self._data(one, rule, row)
            if data is not None:
                yield NewMessage(
                    new_uuid(),
                    one.job.tenant_id,
                    rule["event_type"],
                    data,
                    SOURCE,
                    traceparent=one.job.traceparent,
                    depth=one.job.depth,
                )

    def _data(self, one: Ended, rule: dict[str, Any], row: Row[Any, Any, Any, Any]) -> str | None:
        document = _about(one)
        if rule["mapping"]:
            try:
                made = compile_steps(rule["mapping"]).run({**document, "event": one.job.event}, self._sandbox)
            except HubError as error:
                # The execution has ended whatever becomes of its event.
                log.error("What flow %s publishes could not be made: %s", row.name, error.detail)  # noqa: TRY400
                return None
            if isinstance(made, Cancelled):
                return None
            document = made.document
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        try:
            # An expression can make what no other door takes.
            check_strict(text.encode(errors="surrogatepass"), max_bytes=_MAX_EVENT, max_depth=_MAX_DEPTH)
        except HubError as error:
            log.error("What flow %s publishes cannot be an event: %s", row.name, error.detail)  # noqa: TRY400
            return None
        return text


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
