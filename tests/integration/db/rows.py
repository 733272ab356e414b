"""Ledger rows of every kind, as tests need them: what a table demands beside the ledger's own columns."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from hub.core.ids import new_uuid
from hub.db.ledger import Ledger
from hub.integrations.executions.store import EXECUTIONS
from hub.monitoring.store import CHECK_RUNS

LEDGERS: dict[str, Ledger] = {ledger.table: ledger for ledger in (EXECUTIONS, CHECK_RUNS)}

_OWN_COLUMNS = {
    "execution": {"integration_id": ":other", "operation": "'get'", "source": "'sql'"},
    "check_run": {"integration_id": ":other", "scheduled_for": "pg_catalog.now()"},
}


def insert_due(
    conn: Connection,
    table: str,
    count: int,
    *,
    tenant: uuid.UUID,
    due_at: Any = None,
    ids: Sequence[uuid.UUID] = (),
) -> list[uuid.UUID]:
    """Insert rows that are due, at `due_at` or now, and return their ids."""
    made = list(ids) or [new_uuid() for _ in range(count)]
    own = _OWN_COLUMNS[table]
    conn.execute(
        text(
            f"INSERT INTO hub.{table} (id, tenant_id, due_at, {', '.join(own)})"
            f" VALUES (:id, :tenant, coalesce(CAST(:due AS timestamptz), pg_catalog.now()), {', '.join(own.values())})"
        ),
        [{"id": row, "tenant": tenant, "due": due_at, "other": new_uuid()} for row in made],
    )
    return made
