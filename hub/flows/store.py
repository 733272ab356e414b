"""Every query of flows. Each takes the tenant, or ids that came from a tenant's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select, text

from hub.access.models import api_key
from hub.core.ids import Kind
from hub.db.tenant_rows import change_version, delete_row, find_row, insert_row, newest_first
from hub.flows.models import flow
from hub.integrations.registry.models import integration

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select


class Publishing(NamedTuple):
    """What a flow publishes when an execution of it has ended.

    Args:
        name: of the flow.
        rules: `on`, `event_type` and `mapping` of each.
    """

    name: str
    rules: Sequence[Mapping[str, Any]]


#: What fan-out needs; above all not what the end publishes.
_STARTING = [
    column
    for column in flow.c
    if column.name not in {"name", "description", "publish", "created_at", "updated_at"}
]


def count_flows(conn: Connection, tenant_id: uuid.UUID) -> int:
    """How many the tenant has. Served by flow_tenant_id_id_idx."""
    found = conn.scalar(select(func.count()).select_from(flow).where(flow.c.tenant_id == tenant_id))
    return int(found or 0)


def insert_flow(conn: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """Write a flow.

    Raises:
        Conflict: the tenant has one of this name (flow_tenant_id_name_key).
    """
    return insert_row(conn, flow, values)


def get_flow(conn: Connection, tenant_id: uuid.UUID, flow_id: uuid.UUID) -> Row[Any]:
    """One flow. Served by flow_pkey.

    Raises:
        NotFound: the tenant has no such flow.
    """
    return find_row(conn, flow, tenant_id, flow_id, Kind.FLOW)


def list_flows(
    conn: Connection,
    tenant_id: uuid.UUID,
    *,
    after: uuid.UUID | None,
    limit: int,
    integration_id: uuid.UUID | None = None,
) -> Sequence[Row[Any]]:
    """Newest first. Served by flow_tenant_id_id_idx or flow_integration_id_idx."""
    query = select(flow).where(flow.c.tenant_id == tenant_id)
    if integration_id is not None:
        query = query.where(flow.c.integration_id == integration_id)
    return conn.execute(newest_first(query, flow.c.id, after=after, limit=limit)).all()


def update_flow(
    conn: Connection, tenant_id: uuid.UUID, flow_id: uuid.UUID, version: int, changes: Mapping[str, Any]
) -> Row[Any] | None:
    """Change one version of a flow; None when it is not the present one. Served by flow_pkey.

    Raises:
        Conflict: the new name is taken.
    """
    return change_version(conn, flow, tenant_id, flow_id, version, changes)


def delete_flow(conn: Connection, tenant_id: uuid.UUID, flow_id: uuid.UUID) -> bool:
    """Delete a flow; what it started goes on. Served by flow_pkey."""
    return delete_row(conn, flow, tenant_id, flow_id)


def load_flows(conn: Connection, tenant_ids: Collection[uuid.UUID]) -> Sequence[Row[Any]]:
    """The flows of these tenants that are not paused, in the order of their ids.

    With them: the access rules of their integration, and the roles of the key that made the flow. Served by
    flow_tenant_id_id_idx, and by the primary keys for each of them.
    """
    query: Select[Any] = select(*_STARTING, integration.c.access, api_key.c.roles).select_from(
        flow.join(integration, integration.c.id == flow.c.integration_id).outerjoin(
            api_key, api_key.c.id == flow.c.created_by
        )
    )
    query = query.where(flow.c.tenant_id.in_(tenant_ids), ~flow.c.paused)
    return conn.execute(query.order_by(flow.c.id)).all()


def roles_of_maker(conn: Connection, key_id: uuid.UUID | None) -> Sequence[str]:
    """The roles of the key that made a flow; none when there is no such key (any more). Served by api_key_pkey."""
    return conn.scalar(select(api_key.c.roles).where(api_key.c.id == key_id)) or ()


def load_publishing(conn: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Publishing]:
    """What flows publish, by flow. Served by flow_pkey."""
    query = select(flow.c.id, flow.c.name, flow.c.publish).where(flow.c.id.in_(ids))
    return {row.id: Publishing(row.name, row.publish or ()) for row in conn.execute(query)}


def tenants_with_listeners(conn: Connection, tenant_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Tenants with an endpoint for what the hub itself has to say. Served by endpoint_tenant_id_id_idx."""
    rows = conn.execute(
        text(
            "SELECT DISTINCT tenant_id FROM hub.endpoint"
            " WHERE tenant_id = ANY (CAST(:ids AS uuid[])) AND kind = 'operations'"
        ),
        {"ids": list(tenant_ids)},
    )
    return {row.tenant_id for row in rows}
