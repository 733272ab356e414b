"""Tables of monitoring. No foreign keys: recording a check must not fail because its integration was deleted."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)
from sqlalchemy import text as sql

from hub.db.models import ledger_columns, ledger_indexes
from hub.db.schema import Timestamp, created_at, id_column, metadata
from hub.monitoring.health import Status

_STATUSES = ", ".join(f"'{status.value}'" for status in Status)

#: One health check that fell due.
check_run = Table(
    "check_run",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("integration_id"),
    Column("scheduled_for", Timestamp, nullable=False),
    created_at(),
    *ledger_columns(),
    # The verdict; None until it was made.
    Column("ok", Boolean),
    Column("status", Integer),
    Column("latency_ms", REAL),
    Column("error_class", Text),
    Column("message", Text),
    *ledger_indexes("check_run"),
    Index(None, "integration_id", "id"),
    # An integration has one check under way at most: a hub that is behind does not pile them up.
    Index("check_run_live_idx", "integration_id", postgresql_where=sql("state IN ('due', 'leased')")),
    postgresql_partition_by="RANGE (id)",
)

#: How an integration is, by its last checks.
integration_health = Table(
    "integration_health",
    metadata,
    Column("integration_id", Uuid, primary_key=True),
    id_column("tenant_id"),
    Column("status", Text, CheckConstraint(f"status IN ({_STATUSES})", name="status"), nullable=False),
    Column("since", Timestamp, nullable=False),
    Column("last_check_at", Timestamp, nullable=False),
    Column("last_latency_ms", REAL),
    Column("consecutive_failures", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Index(None, "tenant_id", "status"),
)

#: Alerts that were ever judged: how they are, and since when.
integration_alert = Table(
    "integration_alert",
    metadata,
    id_column("integration_id"),
    Column("name", Text, nullable=False),
    id_column("tenant_id"),
    Column("firing", Boolean, nullable=False),
    Column("since", Timestamp, nullable=False),
    Column("value", Double),
    PrimaryKeyConstraint("integration_id", "name"),
)

#: Every time that status changed.
health_change = Table(
    "health_change",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("integration_id"),
    Column("from_status", Text, nullable=False),
    Column("to_status", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Index(None, "integration_id", "id"),
)
