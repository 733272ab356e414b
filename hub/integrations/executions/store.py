"""Every query of executions. Each takes the tenant, or ids that came from a tenant's rows."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Row, TextClause, select, text

from hub.core.ids import floor_uuid
from hub.db.ledger import Ledger
from hub.integrations.executions.models import execution
from hub.integrations.metrics import BOUNDS_MS, Bucket, column_of

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The input comes as text: one that cannot be read must fail its own row, not the claim of its neighbours.
EXECUTIONS = Ledger(
    "execution",
    columns=(
        "integration_id", "operation", "input::text AS input", "lapses", "caller", "on_behalf_of", "component",
        "traceparent", "depth", "reason", "flow_id", "mapping::text AS mapping",
    ),
)  # fmt: skip

_DAY_MS = 86_400_000
#: Nothing is older; ids cannot be either.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2**128 - 1

_SUMMARY = [
    column
    for column in execution.c
    if column.name not in {"input", "data", "response_headers", "request", "timings", "mapping"}
]

# -- accepting and reading --------------------------------------------------------------------------------------------


class NewExecution(msgspec.Struct, omit_defaults=True):
    """One row to write; `input` is JSON text. Times are RFC 3339; without `due_at` it is due now."""

    id: uuid.UUID
    integration_id: uuid.UUID
    operation: str
    input: str
    caller: uuid.UUID | None = None
    on_behalf_of: str | None = None
    component: str | None = None
    batch_id: uuid.UUID | None = None
    schedule_id: uuid.UUID | None = None
    replay_of: uuid.UUID | None = None
    event_id: uuid.UUID | None = None
    flow_id: uuid.UUID | None = None
    mapping: msgspec.Raw | None = None
    traceparent: str | None = None
    depth: int = 0
    due_at: datetime | None = None


def insert_executions(
    conn: Connection, tenant_id: uuid.UUID, source: str, rows: Sequence[NewExecution]
) -> list[uuid.UUID]:
    """Write executions in one statement; a row that is there already stays as it is.

    Args:
        conn: a connection inside a transaction.
        tenant_id: whose.
        source: the door.
        rows: at least one.

    Returns:
        The ids that are new.
    """
    written = conn.execute(
        text(
            "INSERT INTO hub.execution (id, tenant_id, integration_id, source, operation, input, caller, on_behalf_of,"
            " component, batch_id, schedule_id, replay_of, event_id, flow_id, mapping, traceparent, depth, due_at)"
            " SELECT id, :tenant, integration_id, :source, operation, CAST(input AS json), caller, on_behalf_of,"
            " component, batch_id, schedule_id, replay_of, event_id, flow_id, mapping, traceparent,"
            " coalesce(depth, 0),"
            " coalesce(due_at, now())"
            " FROM json_to_recordset(CAST(:rows AS json)) AS given (id uuid, integration_id uuid, operation text,"
            " input text, caller uuid, on_behalf_of text, component text, batch_id uuid, schedule_id uuid,"
            " replay_of uuid, event_id uuid, flow_id uuid, mapping json, traceparent text, depth int,"
            " due_at timestamptz)"
            " ON CONFLICT (id) DO NOTHING RETURNING id"
        ),
        {"tenant": tenant_id, "source": source, "rows": msgspec.json.encode(rows).decode()},
    )
    return [row.id for row in written]


def find_execution(conn: Connection, tenant_id: uuid.UUID, execution_id: uuid.UUID) -> Row[Any] | None:
    """One execution with its input and result. Served by execution_pkey of one partition."""
    return conn.execute(
        select(execution).where(execution.c.id == execution_id, execution.c.tenant_id == tenant_id)
    ).one_or_none()


def list_executions(
    conn: Connection,
    tenant_id: uuid.UUID,
    *,
    after: uuid.UUID | None,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    **equal: Any,
) -> Sequence[Row[Any]]:
    """Newest first, without inputs and results.

    Served by execution_integration_id_operation_id_idx, execution_integration_id_id_idx, execution_failed_idx (with an
    error class), execution_user_idx, execution_batch_idx, execution_schedule_idx, execution_flow_idx,
    execution_event_idx or execution_tenant_id_id_idx; what no index has is filtered on the way, so a rare operation or
    status reads further back. Times bound the partitions that are read.

    Args:
        conn: a connection.
        tenant_id: whose.
        after: the cursor.
        limit: rows at most.
        since: accepted at this moment or later.
        until: accepted before.
        equal: columns and their values; None is any.
    """
    query = select(*_SUMMARY).where(execution.c.tenant_id == tenant_id)
    for name, value in equal.items():
        if value is not None:
            query = query.where(execution.c[name] == value)
    if equal.get("error_class") is not None and equal.get("state") is None:
        query = query.where(execution.c.state == "failed")
    if after is not None:
        query = query.where(execution.c.id < after)
    if since is not None:
        query = query.where(execution.c.id >= floor_uuid(max(since, _EPOCH)))
    if until is not None:
        query = query.where(execution.c.id < floor_uuid(max(until, _EPOCH)))
    return conn.execute(query.order_by(execution.c.id.desc()).limit(limit)).all()


def count_batch(conn: Connection, tenant_id: uuid.UUID, batch_id: uuid.UUID) -> dict[str, int]:
    """How many executions of a batch are in which state. Served by execution_batch_idx of the batch's own day."""
    rows = conn.execute(
        text(
            "SELECT state, count(*) AS n FROM hub.execution WHERE batch_id = :batch AND tenant_id = :tenant"
            " AND id >= :low AND id < :high GROUP BY state"
        ),
        {
            "batch": batch_id,
            "tenant": tenant_id,
            "low": _day_before(batch_id),
            "high": uuid.UUID(int=min(batch_id.int + (_DAY_MS << 80), _LAST)),
        },
    )
    return {row.state: row.n for row in rows}


def list_attempts(conn: Connection, tenant_id: uuid.UUID, work_id: uuid.UUID) -> Sequence[Row[Any]]:
    """The attempts of one row of work, oldest first. Served by attempt_pkey, partitions since the row was made."""
    return conn.execute(
        text(
            "SELECT * FROM hub.attempt WHERE work_id = :id AND tenant_id = :tenant AND id >= :since ORDER BY number, id"
        ),
        {"id": work_id, "tenant": tenant_id, "since": _day_before(work_id)},
    ).all()


def finished_among(conn: Connection, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these executions are at their end. Served by execution_pkey of the partitions between first and last."""
    rows = conn.execute(
        text(
            "SELECT id FROM hub.execution WHERE id = ANY(CAST(:ids AS uuid[])) AND id BETWEEN :low AND :high"
            " AND state NOT IN ('due', 'leased', 'held')"
        ),
        {"ids": list(ids), "low": min(ids), "high": max(ids)},
    )
    return {row.id for row in rows}


def _day_before(row_id: uuid.UUID) -> uuid.UUID:
    """A lower bound for ids that other machines, whose clocks differ, made after this one."""
    return uuid.UUID(int=max(0, (row_id.int >> 80) - _DAY_MS) << 80)


# -- running ----------------------------------------------------------------------------------------------------------


class Result(msgspec.Struct, omit_defaults=True):
    """The end of one execution as `write_results` reads it; JSON values as JSON.

    Args:
        input: takes the place of the stored one when it is set: fields that must not be kept are masked.
    """

    id: uuid.UUID
    status: int | None = None
    headers: dict[str, str] | None = None
    data: str | None = None
    data_base64: bool = False
    truncated: bool = False
    error: dict[str, Any] | None = None
    error_class: str | None = None
    latency_ms: float | None = None
    data_size: int | None = None
    request: dict[str, Any] | None = None
    cached: bool = False
    timings: dict[str, float] | None = None
    usage: dict[str, float] | None = None
    input: Any = None


_RESULTS: TextClause = text(
    "UPDATE hub.execution t SET status = r.status, response_headers = r.headers, data = r.data,"
    " data_base64 = coalesce(r.data_base64, false), truncated = coalesce(r.truncated, false), error = r.error,"
    " error_class = r.error_class, latency_ms = r.latency_ms, data_size = r.data_size, request = r.request,"
    " cached = coalesce(r.cached, false), timings = r.timings, usage = r.usage, input = coalesce(r.input, t.input)"
    " FROM json_to_recordset(CAST(:rows AS json)) AS r (id uuid, status int, headers json, data text, data_base64 bool,"
    " truncated bool, error json, error_class text, latency_ms real, data_size int, request json, cached bool,"
    " timings json, usage json, input json)"
    " WHERE t.id = r.id AND t.id = ANY (CAST(:ids AS uuid[])) AND t.id BETWEEN :low AND :high"
)


def write_results(conn: Connection, results: Sequence[Result]) -> None:
    """Write end results, in the transaction that completed the rows. Served by execution_pkey.

    Args:
        conn: a connection inside a transaction.
        results: at least one.
    """
    ids = [result.id for result in results]
    conn.execute(
        _RESULTS,
        {"rows": msgspec.json.encode(results).decode(), "ids": ids, "low": min(ids), "high": max(ids)},
    )


_COUNTED = ("calls", "failed", "latency_ms_sum", "bytes", *(column_of(bound) for bound in BOUNDS_MS))
_TYPES = ("int", "int", "float8", "bigint", *("int" for _ in BOUNDS_MS))
_METRICS: TextClause = text(
    f"INSERT INTO hub.integration_metric AS m (tenant_id, integration_id, bucket, source, {', '.join(_COUNTED)})"  # noqa: S608 - our own column names
    " SELECT * FROM unnest(CAST(:tenant_id AS uuid[]), CAST(:integration_id AS uuid[]), CAST(:bucket AS timestamptz[]),"
    f" CAST(:source AS text[]), {', '.join(f'CAST(:{n} AS {t}[])' for n, t in zip(_COUNTED, _TYPES, strict=True))})"
    " ON CONFLICT (integration_id, bucket, source) DO UPDATE SET "
    + ", ".join(f"{name} = m.{name} + excluded.{name}" for name in _COUNTED)
)


def add_metrics(conn: Connection, buckets: Sequence[Bucket]) -> None:
    """Add counted calls. Served by integration_metric_pkey; the rows' order is the order of the locks."""
    if not buckets:
        return
    columns: dict[str, list[Any]] = {
        name: [getattr(bucket, name) for bucket in buckets]
        for name in (
            "tenant_id",
            "integration_id",
            "bucket",
            "source",
            "calls",
            "failed",
            "latency_ms_sum",
            "bytes",
        )
    }
    for index, bound in enumerate(BOUNDS_MS):
        columns[column_of(bound)] = [bucket.within[index] for bucket in buckets]
    conn.execute(_METRICS, columns)
