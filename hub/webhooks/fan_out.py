"""Fan-out: from one message to a delivery for each endpoint that takes it.

It happens in the worker, in one transaction that locks the messages, writes the deliveries and takes the messages out
of the outbox: a worker that dies leaves everything as it was. Deliveries are written already leased to this worker as
far as there is room, so a first attempt costs no claim; the rest wait in their lanes. A message with many endpoints
goes in steps, so that no transaction grows with the number of endpoints; so does one with which much else begins, and
that one goes behind the others after each step.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hub.core.ids import child_uuid
from hub.db.states import State
from hub.webhooks import store
from hub.webhooks.admission import Ended
from hub.webhooks.envelope import OPERATIONAL, Envelope
from hub.webhooks.job import Job

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from hub.webhooks.admission import Admission
    from hub.webhooks.catalogue.validation import Catalogue
    from hub.webhooks.directory import Directory
    from hub.webhooks.target import Target

log = logging.getLogger(__name__)

#: Messages of one transaction, and bytes of their data.
_MESSAGES = 500
_BYTES = 16 * 1_048_576
#: Deliveries of one transaction, and of one message in it.
_DELIVERIES = 2_000
_STEP = 1_000
#: A message with more endpoints than this leaves half of the room to those that come after it.
_WIDE = 100
#: The doors whose events were not judged on their way in: a function in the database has no JSON Schema, and the end of
#: an execution, which a flow publishes with it, cannot be refused.
_UNJUDGED = frozenset({"sql", "flow"})


class Begun(NamedTuple):
    """What begins with a message.

    Args:
        anything: in this step or an earlier one.
        everything: False: there is no room for the rest in this transaction, and the message comes again.
        after: the last that began, of a message that takes more than its share: it comes again behind the others.
    """

    anything: bool
    everything: bool = True
    after: uuid.UUID | None = None


#: Before the first.
NONE_YET = uuid.UUID(int=0)
_NOTHING = Begun(anything=False)


class Triggers(Protocol):
    """What else begins with an event; written in the transaction that fans it out."""

    def begin(self, conn: Connection, versions: Mapping[uuid.UUID, int]) -> None:
        """Messages of these tenants follow, whose set-up is of these versions."""
        ...

    def on_message(self, message: Row[Any], envelope: Envelope) -> Begun:
        """What begins with it, after `message.after_trigger`."""
        ...

    def write(self, conn: Connection) -> None:
        """Write what has begun."""
        ...

    def written(self) -> None:
        """The transaction is committed."""
        ...


class NoTriggers:
    """Nothing else begins with events."""

    def begin(self, conn: Connection, versions: Mapping[uuid.UUID, int]) -> None:
        """Nothing."""

    def on_message(self, message: Row[Any], envelope: Envelope) -> Begun:
        """Nothing."""
        del message, envelope
        return _NOTHING

    def write(self, conn: Connection) -> None:
        """Nothing."""

    def written(self) -> None:
        """Nothing."""


class FanOut:
    """Fans messages out in a worker.

    Args:
        directory: the endpoints.
        catalogue: judges what came in by SQL, and what flows publish.
        admission: places for calls.
        triggers: what else begins with events.
        owner: this worker's name, written into leases.
        lease: seconds that its leases last.
    """

    def __init__(
        self,
        directory: Directory,
        catalogue: Catalogue,
        admission: Admission,
        triggers: Triggers | None = None,
        *,
        owner: str,
        lease: float,
    ) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._admission = admission
        self.triggers: Triggers = triggers or NoTriggers()
        self._owner = owner
        self._lease = lease

    def run(self, conn: Connection, *, room: int, held: Collection[uuid.UUID]) -> tuple[list[Job], bool]:
        """Fan out what is due.

        Args:
            conn: a connection inside a transaction of its own; the jobs are good once it is committed.
            room: calls that may be started.
            held: endpoints whose breaker is open.

        Returns:
            The deliveries that are leased, and whether there were messages.
        """
        # No more than may be started: what is left over would pay for a second claim.
        messages = store.claim_messages(conn, limit=max(1, min(_MESSAGES, room)), max_bytes=_BYTES)
        if not messages:
            return [], False
        tenants = {message.tenant_id for message in messages}
        self._directory.refresh(conn, tenants)
        self.triggers.begin(conn, {one: self._directory.version(one) for one in tenants})
        writing = _Writing(self._admission, room, held)
        self._all(self._in_turn(conn, messages), writing)
        try:
            store.fan_out(
                conn,
                writing.rows,
                done=writing.done,
                owner=self._owner,
                lease=self._lease,
            )
            self.triggers.write(conn)
            if writing.nowhere:
                store.note_reasons(conn, writing.nowhere)
            for message_id, after in writing.steps.items():
                store.advance_fan_out(conn, message_id, after)
            if writing.put_back:
                store.put_back(conn, writing.put_back)
            if writing.keys:
                # All of them, not only those with keys: lanes are locked in one order.
                store.DELIVERIES.lock(conn, writing.lanes)
                store.DELIVERIES.promote(conn, writing.keys)
            if writing.lanes:
                store.DELIVERIES.wake(conn, writing.lanes)
        except BaseException:
            self.forget(writing.jobs)
            raise
        return writing.jobs, True

    def forget(self, jobs: Sequence[Job]) -> None:
        """Give back the places of jobs whose transaction was not committed."""
        self._admission.release(Ended(job.target.id, job.size, False, None) for job in jobs)

    def _in_turn(self, conn: Connection, messages: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Leave out messages whose ordering key has an earlier one that another worker is busy with."""
        keys = {(m.tenant_id, m.ordering_key) for m in messages if m.ordering_key is not None}
        if not keys:
            return list(messages)
        mine = {message.id for message in messages}
        allowed = set()
        for queued in store.list_queued(conn, keys).values():
            for message_id in queued:
                if message_id not in mine:
                    break
                allowed.add(message_id)
        return [m for m in messages if m.ordering_key is None or m.id in allowed]

    def _all(self, messages: Sequence[Row[Any]], writing: _Writing) -> None:
        for message in messages:
            if len(writing.rows) >= _DELIVERIES:
                break
            if not writing.waits_for_another(message):
                self._one(message, writing)

    def _one(self, message: Row[Any], writing: _Writing) -> None:
        kind = "operations" if message.source == OPERATIONAL else "events"
        if message.expired:
            writing.done.append(message.id)
            writing.nowhere[message.id] = "expired"
            return
        if (
            message.source in _UNJUDGED
            and not self._catalogue.check(message.tenant_id, message.type, message.data).allowed
        ):
            writing.done.append(message.id)
            writing.nowhere[message.id] = "schema_invalid"
            return
        envelope = Envelope.of(message, message.expires_at, message.traceparent)
        begun = _NOTHING
        # A message with many endpoints comes again for them when everything else has begun.
        if kind == "events" and message.after_endpoint is None:
            begun = self.triggers.on_message(message, envelope)
            if not begun.everything:
                writing.come_again(message, after_trigger=begun.after)
                return
        labels = frozenset(message.labels or ())
        targets: Sequence[Target] = [
            target
            for target in self._directory.subscribers(message.tenant_id, kind, message.type)
            if not target.labels or target.labels & labels
        ]
        if message.after_endpoint is not None:
            targets = [target for target in targets if target.id > message.after_endpoint]
        elif not targets:
            writing.done.append(message.id)
            if not begun.anything:
                writing.nowhere[message.id] = "no_endpoint"
            return
        step, rest = targets[:_STEP], targets[_STEP:]
        writing.begin(wide=len(targets) > _WIDE)
        for target in step:
            writing.add(message, target, envelope)
        if rest:
            writing.come_again(message, after_endpoint=step[-1].id)
        else:
            writing.done.append(message.id)


class _Writing:
    """What one transaction is going to write."""

    def __init__(self, admission: Admission, room: int, held: Collection[uuid.UUID]) -> None:
        self._admission = admission
        self._room = self._budget = room
        self._held = held
        self.rows: list[store.NewDelivery] = []
        self.jobs: list[Job] = []
        self.done: list[uuid.UUID] = []
        self.nowhere: dict[uuid.UUID, str] = {}
        self.steps: dict[uuid.UUID, uuid.UUID] = {}
        self.put_back: dict[uuid.UUID, uuid.UUID] = {}
        self._unfinished: set[tuple[uuid.UUID, str]] = set()
        self.keys: set[tuple[uuid.UUID, str]] = set()
        self.lanes: set[uuid.UUID] = set()

    def come_again(
        self,
        message: Row[Any],
        *,
        after_trigger: uuid.UUID | None = None,
        after_endpoint: uuid.UUID | None = None,
    ) -> None:
        """The message is not finished; what has its ordering key comes after it."""
        if after_trigger is not None:
            self.put_back[message.id] = after_trigger
        if after_endpoint is not None:
            self.steps[message.id] = after_endpoint
        if message.ordering_key is not None:
            self._unfinished.add((message.tenant_id, message.ordering_key))

    def waits_for_another(self, message: Row[Any]) -> bool:
        """Is a message with its ordering key not finished?"""
        return bool(self._unfinished) and (message.tenant_id, message.ordering_key) in self._unfinished

    def begin(self, *, wide: bool) -> None:
        """The next message; a wide one may not start as many calls as there is room for."""
        left = self._room - len(self.jobs)
        self._budget = len(self.jobs) + (max(1, left // 2) if wide else left)

    def add(self, message: Row[Any], target: Target, envelope: Envelope) -> None:
        """One delivery: leased when it may be sent now, else due in its lane."""
        delivery_id = child_uuid(message.id)
        if target.filter is not None and not target.filter.matches(envelope.document()):
            self.rows.append(
                store.NewDelivery(
                    delivery_id, message.tenant_id, message.id, target.id, State.SKIPPED, "filtered"
                )
            )
            return
        key = message.ordering_key if target.strict else None
        state = State.DUE
        if (
            key is None
            and not target.metered
            and target.hold is None
            and target.id not in self._held
            and len(self.jobs) < self._budget
            and self._admission.admit(target.id, len(envelope.body))
        ):
            state = State.LEASED
            self.jobs.append(Job(delivery_id, message.tenant_id, 1, 1, 0, target, envelope, envelope.body))
        else:
            self.lanes.add(target.id)
            if key is not None:
                self.keys.add((target.id, key))
        self.rows.append(
            store.NewDelivery(delivery_id, message.tenant_id, message.id, target.id, state, ordering_key=key)
        )
