"""The sweep: takes back lapsed leases and rings for whatever is due. Idempotent; beat only makes it prompt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hub.core.ids import Kind, format_id
from hub.db.engine import get_engine
from hub.db.states import State
from hub.integrations.executions.store import EXECUTIONS
from hub.monitoring.store import CHECK_RUNS
from hub.queue.contracts import TaskName, Tick
from hub.webhooks import store as webhooks
from hub.webhooks.replay import store as replays
from workers import context
from workers.task import hub_task

if TYPE_CHECKING:
    from hub.db.ledger import Ledger

log = logging.getLogger(__name__)

#: Every ledger, the prefix of its ids, and the pump that serves it.
LEDGERS: tuple[tuple[Ledger, Kind, TaskName], ...] = (
    (webhooks.DELIVERIES, Kind.DELIVERY, TaskName.DELIVERIES_SEND),
    (EXECUTIONS, Kind.EXECUTION, TaskName.EXECUTIONS_RUN),
    (CHECK_RUNS, Kind.CHECK_RUN, TaskName.CHECKS_RUN),
)


@hub_task(TaskName.LEDGER_SWEEP, Tick)
def sweep_ledger(_payload: Tick) -> dict[str, int]:
    """Sweep every ledger once.

    Returns:
        How many leases lapsed, by table.
    """
    lapsed: dict[str, int] = {}
    waiting: set[TaskName] = set()
    for ledger, kind, pump in LEDGERS:
        full = True
        while full:
            with get_engine().begin() as conn:
                rows = ledger.lapse(conn)
                full = bool(rows)
                if ledger.has_due(conn):
                    waiting.add(pump)
            lapsed[ledger.table] = lapsed.get(ledger.table, 0) + len(rows)
            for row in rows:
                if row.state == State.HELD:
                    log.error(
                        "Quarantined %s: its worker vanished three times in a row. See its attempts, then resend it.",
                        format_id(kind, row.id),
                    )
    with get_engine().begin() as conn:
        if any(webhooks.look(conn)):
            waiting.add(TaskName.DELIVERIES_SEND)
        if replays.seconds_until_due(conn) == 0:
            waiting.add(TaskName.REPLAYS_RUN)
    while _discard():
        pass
    for pump in waiting:
        context.get_bell().ring(pump)
    return {table: count for table, count in lapsed.items() if count}


def _discard() -> int:
    """A step of emptying lanes whose backlog is not wanted any more."""
    with get_engine().begin() as conn:
        return webhooks.DELIVERIES.sweep_discarded(conn, keep=webhooks.ENDPOINT_DELETED)
