"""Tenants as commands take them: by name or by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hub.access.store import get_tenant, get_tenant_by_name
from hub.core.errors import Invalid
from hub.core.ids import Kind, parse_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.access.store import Tenant

METAVAR = "NAME|ID"

tenant_option = click.option(
    "--tenant", required=True, metavar=METAVAR, envvar="HUB_TENANT", show_envvar=True, help="The tenant."
)


def find_tenant(conn: Connection, given: str) -> Tenant:
    """The tenant that is meant.

    Args:
        conn: a connection to the hub's database.
        given: its name, or its id, `ten_…`.

    Raises:
        NotFound: there is none.
    """
    try:
        tenant_id = parse_id(Kind.TENANT, given)
    except Invalid:
        return get_tenant_by_name(conn, given)
    return get_tenant(conn, tenant_id)
