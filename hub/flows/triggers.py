"""Starts flows where events are fanned out, in the same transaction: an event starts each of its flows exactly once.

Only types, labels and filters are judged here; they are total and cheap. The mapping is left to the execution, whose
input is the event and which carries the flow's steps as they were: a mapping that fails is an execution that failed,
there to be seen and made again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.errors import Invalid
from hub.core.ids import new_uuid
from hub.flows import store
from hub.integrations.executions.accepting import MAX_DEPTH
from hub.integrations.executions.store import NewExecution, insert_executions
from hub.integrations.executions.tracing import continue_trace
from hub.queue.contracts import TaskName
from hub.transforms import compile_filter
from hub.webhooks.matching import matches

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

    from hub.transforms import Filter
    from hub.webhooks.envelope import Envelope

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow, as fan-out needs it."""

    id: uuid.UUID
    integration_id: uuid.UUID
    operation: str
    patterns: tuple[str, ...]
    labels: frozenset[str]
    filter: Filter | None
    mapping: msgspec.Raw

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
        self._known: dict[uuid.UUID, tuple[int, tuple[Flow, ...]]] = {}
        self._begun: dict[uuid.UUID, list[NewExecution]] = {}
        self._wrote = False

    def begin(self, conn: Connection, versions: Mapping[uuid.UUID, int]) -> None:
        """Load the flows of tenants whose set-up changed: one statement, or none."""
        self._begun = {}
        self._wrote = False
        stale = {
            tenant for tenant, version in versions.items() if self._known.get(tenant, (-2, ()))[0] != version
        }
        if not stale:
            return
        found: dict[uuid.UUID, list[Flow]] = {tenant: [] for tenant in stale}
        for row in store.load_flows(conn, stale):
            try:
                found[row.tenant_id].append(_flow(row))
            except (Invalid, TypeError, ValueError) as error:
                # Somebody spoilt the row by hand: the others go on.
                log.warning("Flow %s cannot be read (%s).", row.id, type(error).__name__)
        for tenant, flows in found.items():
            self._known[tenant] = (versions[tenant], tuple(flows))

    def on_message(self, message: Row[Any], envelope: Envelope) -> bool:
        """Note the executions that begin with a message. A chain of flows that is too long ends here."""
        flows = self._known[message.tenant_id][1]
        begun = [flow for flow in flows if flow.takes(message, envelope)]
        if begun and message.depth >= MAX_DEPTH:
            log.warning(
                "Event %s comes from %s flows in a row; it starts no other.", message.id, message.depth
            )
            return False
        for flow in begun:
            self._begun.setdefault(message.tenant_id, []).append(
                NewExecution(
                    new_uuid(),
                    flow.integration_id,
                    flow.operation,
                    envelope.body.decode(),
                    event_id=message.id,
                    flow_id=flow.id,
                    mapping=flow.mapping,
                    traceparent=continue_trace(message.traceparent),
                    depth=message.depth + 1,
                )
            )
        return bool(begun)

    def write(self, conn: Connection) -> None:
        """Write the executions: one statement a tenant, or none."""
        for tenant_id, rows in self._begun.items():
            insert_executions(conn, tenant_id, "flow", rows)
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
        msgspec.Raw(msgspec.json.encode(row.mapping)),
    )
