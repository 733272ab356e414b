"""Starts flows where events are fanned out, in the same transaction: an event starts each of its flows exactly once.

Only types, labels and filters are judged here; they are total and cheap. The mapping is left to the execution, whose
input is the event and which carries the flow's steps as they were: a mapping that fails is an execution that failed,
there to be seen and made again. A flow whose integration's access rules do not name the key that made it (any more)
begins nothing; the audit log tells, once for each change of the tenant's set-up.

Each execution has the event once more, so one transaction begins no more of them than it can hold; the others begin in
the next ones.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.ids import Kind, format_id, new_uuid
from hub.flows import store
from hub.integrations.executions.accepting import MAX_DEPTH, Caller, note_refusal
from hub.integrations.executions.portions import TRANSACTION_BYTES, insert_in_portions
from hub.integrations.executions.refusing import refusal_of
from hub.integrations.executions.store import NewExecution
from hub.integrations.executions.tracing import continue_trace
from hub.queue.contracts import TaskName
from hub.transforms import compile_filter
from hub.webhooks.fan_out import NONE_YET, Begun
from hub.webhooks.matching import matches

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from hub.integrations.executions.accepting import Refused
    from hub.transforms import Filter
    from hub.webhooks.envelope import Envelope

log = logging.getLogger(__name__)

#: Tenants whose flows are kept; the least recently used ones are forgotten first.
_MAX_TENANTS = 1_000
#: What an execution costs a transaction beside its bytes: 2,000 small ones fill one.
_ROW_BYTES = 8_192
#: One event leaves half of the room to those that come after it.
_STEP_BYTES = TRANSACTION_BYTES // 2


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow, as fan-out needs it."""

    id: uuid.UUID
    integration_id: uuid.UUID
    operation: str
    patterns: tuple[str, ...]
    labels: frozenset[str]
    filter: Filter | None
    mapping: bytes
    caller: Caller
    refusal: Refused | None

    def takes(self, message: Row[Any], envelope: Envelope) -> bool:
        """Does the event start it?"""
        if not matches(self.patterns, message.type):
            return False
        if self.labels and self.labels.isdisjoint(message.labels or ()):
            return False
        return self.filter is None or self.filter.matches(envelope.document())


@dataclass(slots=True)
class _Tenant:
    """What is known of one tenant."""

    version: int
    flows: Sequence[Flow]
    #: Those whose refusal the audit log has told of.
    told: set[uuid.UUID] = field(default_factory=set)


class FlowTriggers:
    """Implements `hub.webhooks.fan_out.Triggers`. Used by one thread.

    Args:
        ring: tells the execution pump.
    """

    def __init__(self, ring: Callable[[TaskName], object]) -> None:
        self._ring = ring
        self._known: OrderedDict[uuid.UUID, _Tenant] = OrderedDict()
        self._refused: dict[uuid.UUID, tuple[Row[Any], Flow]] = {}
        self._begun: dict[uuid.UUID, list[NewExecution]] = {}
        self._bytes = 0
        self._wrote = False

    def begin(self, conn: Connection, versions: Mapping[uuid.UUID, int]) -> None:
        """Load the flows of tenants whose set-up changed: one statement, or none."""
        self._begun = {}
        self._refused = {}
        self._bytes = 0
        self._wrote = False
        stale = set()
        for tenant, version in versions.items():
            known = self._known.get(tenant)
            if known is not None and known.version == version:
                self._known.move_to_end(tenant)
            else:
                stale.add(tenant)
        if stale:
            self._load(conn, {tenant: versions[tenant] for tenant in stale})
        # Those of this transaction are the last ones.
        while len(self._known) > max(_MAX_TENANTS, len(versions)):
            self._known.popitem(last=False)

    def _load(self, conn: Connection, stale: Mapping[uuid.UUID, int]) -> None:
        found: dict[uuid.UUID, list[Flow]] = {tenant: [] for tenant in stale}
        for row in store.load_flows(conn, stale):
            try:
                found[row.tenant_id].append(_flow(row))
            except Exception as error:  # noqa: BLE001 - somebody spoilt the row by hand: the others go on
                log.warning("Flow %s cannot be read (%s).", row.id, type(error).__name__)
        for tenant, flows in found.items():
            self._known.pop(tenant, None)
            self._known[tenant] = _Tenant(stale[tenant], flows)

    def on_message(self, message: Row[Any], envelope: Envelope) -> Begun:
        """Note the executions that begin with a message. A chain of flows that is too long ends here."""
        known = self._known[message.tenant_id]
        before = message.after_trigger or NONE_YET
        flows = []
        for flow in known.flows:
            if flow.id <= before or not flow.takes(message, envelope):
                continue
            if flow.refusal is None:
                flows.append(flow)
            elif flow.id not in known.told:
                self._refused[flow.id] = (message, flow)
        anything = bool(flows) or before != NONE_YET
        if flows and message.depth >= MAX_DEPTH:
            log.warning(
                "Event %s comes from %s flows in a row; it starts no other.", message.id, message.depth
            )
            return Begun(anything=False)
        sizes = [len(envelope.body) + len(flow.mapping) + _ROW_BYTES for flow in flows]
        room = min(_STEP_BYTES, TRANSACTION_BYTES - self._bytes)
        if self._bytes and room < sum(sizes) <= _STEP_BYTES:
            return Begun(anything, everything=False)
        text = envelope.body.decode() if flows else ""
        for flow, size in zip(flows, sizes, strict=True):
            if size > room and self._bytes:
                return Begun(anything, everything=False, after=before)
            room -= size
            self._bytes += size
            before = flow.id
            self._begun.setdefault(message.tenant_id, []).append(
                NewExecution(
                    new_uuid(),
                    flow.integration_id,
                    flow.operation,
                    text,
                    event_id=message.id,
                    flow_id=flow.id,
                    mapping=msgspec.Raw(flow.mapping),
                    traceparent=continue_trace(envelope.traceparent),
                    depth=message.depth + 1,
                )
            )
        return Begun(anything)

    def write(self, conn: Connection) -> None:
        """Write the executions: a statement for every 8 MiB of a tenant, or none; and what was refused."""
        for tenant_id, rows in self._begun.items():
            insert_in_portions(conn, tenant_id, "flow", rows)
            self._wrote = True
        self._begun = {}
        for message, flow in self._refused.values():
            _note(conn, message, flow)

    def written(self) -> None:
        """Ring, now that they are committed. What was refused is not told again."""
        for message, flow in self._refused.values():
            self._known[message.tenant_id].told.add(flow.id)
        self._refused = {}
        if self._wrote:
            self._wrote = False
            self._ring(TaskName.EXECUTIONS_RUN)


def _note(conn: Connection, message: Row[Any], flow: Flow) -> None:
    assert flow.refusal is not None
    note_refusal(
        conn,
        message.tenant_id,
        flow.caller,
        flow.integration_id,
        flow.refusal,
        source="flow",
        operations=[flow.operation],
        flow=format_id(Kind.FLOW, flow.id),
        event=format_id(Kind.MESSAGE, message.id),
    )


def _flow(row: Row[Any]) -> Flow:
    caller = Caller(row.created_by, row.roles or ())
    return Flow(
        row.id,
        row.integration_id,
        row.operation,
        tuple(row.event_types),
        frozenset(row.labels),
        None if row.filter is None else compile_filter(row.filter),
        msgspec.json.encode(row.mapping),
        caller,
        refusal_of(row.access, caller),
    )
