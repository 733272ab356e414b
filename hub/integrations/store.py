"""Every query of integrations and executions. Each takes the tenant, or ids that came from a tenant's rows."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, TextClause, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from hub.core.errors import Conflict
from hub.core.ids import floor_uuid, time_of
from hub.db.ledger import Ledger
from hub.integrations.metrics import BOUNDS_MS, Bucket, column_of
from hub.integrations.models import execution, integration

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: The input comes as text: one that cannot be read must fail its own row, not the claim of its neighbours.
EXECUTIONS = Ledger("execution", columns=("integration_id", "operation", "input::text AS input", "lapses"))

#: Statuses in which calls are made.
CALLABLE = ("active", "deprecated")
#: Why an execution waits for its integration: the prefix of the reason.
HELD_BY_STATUS = "integration_"

_SUMMARY = [column for column in execution.c if column.name not in {"input", "data", "response_headers"}]


# -- registry ---------------------------------------------------------------------------------------------------------


def insert_integration(conn: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """Write an integration.

    Raises:
        Conflict: the tenant has one of this name (integration_tenant_id_name_key).
    """
    try:
        return conn.execute(insert(integration).values(**_timed(values)).returning(integration)).one()
    except IntegrityError:
        raise _name_taken(values["name"]) from None


def find_integration(conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> Row[Any] | None:
    """One integration. Served by integration_pkey."""
    return conn.execute(
        select(integration).where(integration.c.id == integration_id, integration.c.tenant_id == tenant_id)
    ).one_or_none()


def list_integrations(
    conn: Connection, tenant_id: uuid.UUID, *, after: uuid.UUID | None, limit: int, status: str | None = None
) -> Sequence[Row[Any]]:
    """Newest first. Served by integration_tenant_id_id_idx."""
    query = select(integration).where(integration.c.tenant_id == tenant_id)
    if after is not None:
        query = query.where(integration.c.id < after)
    if status is not None:
        query = query.where(integration.c.status == status)
    return conn.execute(query.order_by(integration.c.id.desc()).limit(limit)).all()


def update_integration(
    conn: Connection,
    tenant_id: uuid.UUID,
    integration_id: uuid.UUID,
    version: int,
    changes: Mapping[str, Any],
) -> Row[Any] | None:
    """Change one version of an integration; None when it is not the present one. Served by integration_pkey.

    Raises:
        Conflict: the new name is taken.
    """
    try:
        return conn.execute(
            update(integration)
            .where(
                integration.c.id == integration_id,
                integration.c.tenant_id == tenant_id,
                integration.c.version == version,
            )
            .values(**_timed(changes), version=version + 1, updated_at=func.now())
            .returning(integration)
        ).one_or_none()
    except IntegrityError:
        raise _name_taken(changes["name"]) from None


def delete_integration(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, version: int | None
) -> Row[Any] | None:
    """Delete an integration, or one version of it; its last form. Served by integration_pkey."""
    query = delete(integration).where(
        integration.c.id == integration_id, integration.c.tenant_id == tenant_id
    )
    if version is not None:
        query = query.where(integration.c.version == version)
    return conn.execute(query.returning(integration)).one_or_none()


def load_integrations(
    conn: Connection, wanted: Collection[tuple[uuid.UUID, uuid.UUID]]
) -> dict[uuid.UUID, Row[Any]]:
    """Integrations by (tenant id, id) pairs; a pair of another tenant finds nothing. Served by integration_pkey."""
    rows = conn.execute(
        text(
            "SELECT i.* FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[])) AS wanted (tenant_id, id)"
            " JOIN hub.integration i ON i.id = wanted.id AND i.tenant_id = wanted.tenant_id"
        ),
        {"tenants": [tenant for tenant, _ in wanted], "ids": [one for _, one in wanted]},
    )
    return {row.id: row for row in rows}


def _timed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Due checks are the database's clock: `next_check_in` seconds become a time; None means no checks."""
    columns = dict(values)
    if "next_check_in" in columns:
        seconds = columns.pop("next_check_in")
        columns["next_check_at"] = (
            None if seconds is None else func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        )
    return columns


def _name_taken(name: str) -> Conflict:
    return Conflict(f"There is an integration {name} already.")


# -- executions: accepting and reading --------------------------------------------------------------------------------


def insert_executions(
    conn: Connection,
    tenant_id: uuid.UUID,
    integration_id: uuid.UUID,
    source: str,
    rows: Sequence[tuple[uuid.UUID, str, str]],
) -> None:
    """Write executions, due now, in one statement.

    Args:
        conn: a connection inside a transaction.
        tenant_id: whose.
        integration_id: of what.
        source: the door.
        rows: id, operation, input as JSON text.
    """
    conn.execute(
        text(
            "INSERT INTO hub.execution (id, tenant_id, integration_id, source, operation, input)"
            " SELECT id, :tenant, :integration, :source, operation, CAST(input AS json)"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:operations AS text[]), CAST(:inputs AS text[]))"
            " AS given (id, operation, input)"
        ),
        {
            "tenant": tenant_id,
            "integration": integration_id,
            "source": source,
            "ids": [row[0] for row in rows],
            "operations": [row[1] for row in rows],
            "inputs": [row[2] for row in rows],
        },
    )


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
    integration_id: uuid.UUID | None = None,
    state: str | None = None,
) -> Sequence[Row[Any]]:
    """Newest first, without inputs and results.

    Served by execution_integration_id_id_idx or execution_tenant_id_id_idx; a state is filtered on the way, so a rare
    one reads further back.
    """
    query = select(*_SUMMARY).where(execution.c.tenant_id == tenant_id)
    if integration_id is not None:
        query = query.where(execution.c.integration_id == integration_id)
    if state is not None:
        query = query.where(execution.c.state == state)
    if after is not None:
        query = query.where(execution.c.id < after)
    return conn.execute(query.order_by(execution.c.id.desc()).limit(limit)).all()


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
    return uuid.UUID(int=max(0, floor_uuid(time_of(row_id)).int - (86_400_000 << 80)))


# -- executions: running ----------------------------------------------------------------------------------------------


_RESULTS: TextClause = text(
    "UPDATE hub.execution t SET status = r.status, response_headers = CAST(r.headers AS json), data = r.data,"
    " data_base64 = r.data_base64, truncated = r.truncated, error = CAST(r.error AS json),"
    " latency_ms = r.latency_ms, data_size = r.data_size"
    " FROM unnest(CAST(:id AS uuid[]), CAST(:status AS int[]), CAST(:headers AS text[]), CAST(:data AS text[]),"
    " CAST(:data_base64 AS bool[]), CAST(:truncated AS bool[]), CAST(:error AS text[]), CAST(:latency_ms AS real[]),"
    " CAST(:data_size AS int[]))"
    " AS r (id, status, headers, data, data_base64, truncated, error, latency_ms, data_size)"
    " WHERE t.id = r.id AND t.id BETWEEN :low AND :high"
)
RESULT_FIELDS = (
    "id", "status", "headers", "data", "data_base64", "truncated", "error", "latency_ms", "data_size",
)  # fmt: skip


def write_results(conn: Connection, results: Sequence[Mapping[str, Any]]) -> None:
    """Write end results, in the transaction that completed the rows. Served by execution_pkey.

    Args:
        conn: a connection inside a transaction.
        results: at least one; each with `RESULT_FIELDS`.
    """
    columns: dict[str, Any] = {name: [result[name] for result in results] for name in RESULT_FIELDS}
    conn.execute(_RESULTS, {**columns, "low": min(columns["id"]), "high": max(columns["id"])})


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


def release_held(conn: Connection, integration_id: uuid.UUID) -> list[uuid.UUID]:
    """Make due what waited for the integration's status. Served by execution_held_idx; the ids released."""
    rows = conn.execute(
        text(
            "UPDATE hub.execution SET state = 'due', reason = NULL, due_at = now()"
            " WHERE integration_id = :integration AND state = 'held' AND starts_with(reason, :held) RETURNING id"
        ),
        {"integration": integration_id, "held": HELD_BY_STATUS},
    )
    return [row.id for row in rows]


def release_if_callable(conn: Connection, integration_ids: Collection[uuid.UUID]) -> None:
    """Release what was just held for integrations that may be called again since they were looked at.

    The lock orders this with a change of status: either it is seen here, or its own release sees the held rows.
    Served by integration_pkey and execution_held_idx.
    """
    held = sorted(set(integration_ids))
    rows = conn.execute(
        text(
            "SELECT id, status FROM hub.integration WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR SHARE"
        ),
        {"ids": held},
    ).all()
    waiting = {row.id for row in rows if row.status not in CALLABLE}
    for integration_id in held:
        # A deleted one is released as well: its executions then fail with that reason.
        if integration_id not in waiting:
            release_held(conn, integration_id)
