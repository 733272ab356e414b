"""`hub tenants`: make and show tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hub.access import audit, store
from hub.access.issuing import open_tenant
from hub.cli.output import as_json_option, show_json, show_table
from hub.cli.tenancy import METAVAR, find_tenant
from hub.core.ids import Kind, format_id
from hub.db.engine import get_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.access.store import Tenant


@click.group()
def tenants() -> None:
    """Make and show tenants: each has its own keys, integrations, endpoints and events."""


@tenants.command()
@click.argument("name")
@as_json_option
def create(name: str, as_json: bool) -> None:
    """Make a tenant."""
    with get_engine().begin() as conn:
        row = open_tenant(conn, name)
        # An operator has no tenant to be told in: it is the first entry of the new one's.
        audit.note(conn, row.id, None, "tenant.opened", format_id(Kind.TENANT, row.id), {"name": row.name})
    _show([row], as_json=as_json, one=True)


@tenants.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List all tenants by name."""
    with get_engine().connect() as conn:
        rows = store.list_tenants(conn)
    _show(rows, as_json=as_json)


@tenants.command()
@click.argument("tenant", metavar=METAVAR)
@as_json_option
def show(tenant: str, as_json: bool) -> None:
    """Show one tenant."""
    with get_engine().connect() as conn:
        row = find_tenant(conn, tenant)
    _show([row], as_json=as_json, one=True)


def _show(rows: Sequence[Tenant], *, as_json: bool, one: bool = False) -> None:
    records = [
        {
            "id": format_id(Kind.TENANT, row.id),
            "name": row.name,
            "config_version": row.config_version,
            "created_at": row.created_at.isoformat(timespec="seconds"),
        }
        for row in rows
    ]
    if as_json:
        show_json(records[0] if one else records)
    else:
        show_table(("id", "name", "config version", "created"), [list(record.values()) for record in records])
