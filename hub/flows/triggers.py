"""Starts flows where events are fanned out, in the same transaction: an event starts each of its flows exactly once.

Only types, labels and filters are judged here; they are total and cheap. The mapping is left to the execution, whose
input is the event and which carries the flow's steps as they were: a mapping that fails is an execution that failed,
there to be seen and made again. Each execution has the event once more, so one transaction begins no more of them
than it can hold; the others begin in the next ones.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.ids import new_uuid
from hub.flows import store
from hub.integrations.executions.accepting import MAX_DEPTH
from hub.integrations.executions.portions import TRANSACTION_BYTES, insert_in_portions
from hub.integrations.executions.store import NewExecution
from hub.integrations.executions.tracing import continue_trace
from hub.queue.contracts import TaskName
from hub.transforms import compile_filter
from hub.webhooks.fan_out import NONE_YET, Begun
from hub.webhooks.matching import matches

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

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

    def takes(self, message: Row[Any], envelope: Envelope) -> bool:
        """Does the event start it?"""
        if not matches(self.patterns, message.type):
            return False
        if self.labels and self.labels.isdisjoint(message.labels or ()):
            return False
        return self.filter is None or self.filter.matches(envelope.document())


class FlowTriggers:
    """Implements `hub.webhooks.fan_out.Triggers`. Used by one thread.

    Args:
        ring: tells the execution pump.
    """

    def __init__(self, ring: Callable[[TaskName], object]) -> None:
        self._ring = ring
        self._known: OrderedDict[uuid.UUID, tuple[int, tuple[Flow, ...]]] = OrderedDict()
        self._begun: dict[uuid.UUID, list[NewExecution]] = {}
        self._bytes = 0
        self._wrote = False

    def begin(self, conn: Connection, versions: Mapping[uuid.UUID, int]) -> None:
        """Load the flows of tenants whose set-up changed: one statement, or none."""
        self._begun = {}
        self._bytes = 0
        self._wrote = False
        stale = set()
        for tenant, version in versions.items():
            if self._known.get(tenant, (-2, ()))[0] == version:
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
            self._known[tenant] = (stale[tenant], tuple(flows))

    def on_message(self, message: Row[Any], envelope: Envelope) -> Begun:
        """Note the executions that begin with a message. A chain of flows that is too long ends here."""
        before = message.after_trigger or NONE_YET
        flows = [
            flow
            for flow in self._known[message.tenant_id][1]
            if flow.id > before and flow.takes(message, envelope)
        ]
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
                    traceparent=continue_trace(message.traceparent),
                    depth=message.depth + 1,
                )
            )
        return Begun(anything)

    def write(self, conn: Connection) -> None:
        """Write the executions: a statement for every 8 MiB of a tenant, or none."""
        for tenant_id, rows in self._begun.items():
            insert_in_portions(conn, tenant_id, "flow", rows)
            self._wrote = True
        self._begun = {}

    def written(self) -> None:
        """Ring, now that they are committed."""
        if self._wrote:
            self._wrote = False
            self._ring(TaskName.EXECUTIONS_RUN)


def _flow(row: Row[Any]) -> Flow:
    return Flow(
        row.id,
        row.integration_id,
        row.operation,
        tuple(row.event_types),
        frozenset(row.labels),
        None if row.filter is None else compile_filter(row.filter),
        msgspec.json.encode(row.mapping),
    )
