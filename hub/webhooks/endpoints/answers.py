"""Rows of endpoints as the answers of routes, with their headers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, parse_id
from hub.web.etags import etag_of
from hub.webhooks.endpoints import store, views

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from fastapi import Response
    from sqlalchemy import Connection, Row

    from hub.core.secret import Secret
    from hub.web.services import Services


def endpoint_of(text: str) -> uuid.UUID:
    """The id in a route's path.

    Raises:
        Invalid: it is not an endpoint's.
    """
    return parse_id(Kind.ENDPOINT, text, field="path.endpoint_id")


def fields_of(conn: Connection, rows: Sequence[Row[Any]], hub: Services) -> list[dict[str, Any]]:
    """The fields of `views.Endpoint` for endpoints of one tenant."""
    if not rows:
        return []
    tenant_id = rows[0].tenant_id
    now = datetime.now(UTC)
    shown = hub.vault.describe(conn, tenant_id, [one for row in rows for one in views.shown_secrets(row)])
    lanes = store.load_lanes(conn, tenant_id, [row.id for row in rows])
    return [views.endpoint_fields(row, shown, lanes[row.id].hold, now) for row in rows]


def tagged(conn: Connection, row: Row[Any], hub: Services, response: Response) -> dict[str, Any]:
    """The fields of one endpoint, whose version becomes the answer's `ETag`."""
    response.headers["ETag"] = etag_of(row.version)
    return fields_of(conn, [row], hub)[0]


def with_secret(
    conn: Connection, row: Row[Any], secret: Secret, hub: Services, response: Response
) -> views.EndpointSecret:
    """An endpoint with its signing secret, in an answer that nobody keeps on the way."""
    response.headers["Cache-Control"] = "no-store"
    return views.EndpointSecret(**tagged(conn, row, hub, response), signing_secret=secret.reveal())
