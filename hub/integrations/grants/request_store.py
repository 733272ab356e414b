"""Every statement of people who were sent to a provider and have not come back yet.

Times are the database's: the clocks of machines may differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Connection, Row


def insert_request(conn: Connection, values: dict[str, Any]) -> Row[Any]:
    """Somebody is sent to a provider; its life is counted from now. Returns `expires_at`."""
    return conn.execute(
        text(
            "INSERT INTO hub.authorization_request (id, tenant_id, integration_id, state_hash, secret_id, basis,"
            " started_by, redirect_uri, return_url, interval_seconds, next_poll_at, expires_at) VALUES (:id,"
            " :tenant, :integration, :state_hash, :secret, :basis, :started_by, :redirect_uri, :return_url,"
            " CAST(:interval AS int), now() + make_interval(secs => CAST(:interval AS float8)),"
            " now() + make_interval(secs => :life))"
            " RETURNING expires_at"
        ),
        values,
    ).one()


def take_request(conn: Connection, state_hash: bytes) -> Row[Any] | None:
    """Somebody came back: take the request out, once. Served by authorization_request_state_hash_key."""
    return conn.execute(
        text(
            "DELETE FROM hub.authorization_request WHERE state_hash = :hash RETURNING *, expires_at > now() AS fresh"
        ),
        {"hash": state_hash},
    ).one_or_none()


def find_device_request(conn: Connection, tenant_id: UUID, integration_id: UUID) -> Row[Any] | None:
    """The newest request of a device. Served by authorization_request_integration_id_idx."""
    return conn.execute(
        text(
            "SELECT *, expires_at > now() AS fresh FROM hub.authorization_request"
            " WHERE integration_id = :id AND tenant_id = :tenant AND state_hash IS NULL ORDER BY id DESC LIMIT 1"
        ),
        {"id": integration_id, "tenant": tenant_id},
    ).one_or_none()


def take_poll(conn: Connection, request_id: UUID) -> bool:
    """May this process ask for a device now? Served by authorization_request_pkey.

    Whoever may moves the time on, before asking: other processes and a crash do not ask too early.
    """
    result = conn.execute(
        text(
            "UPDATE hub.authorization_request SET next_poll_at = now() + make_interval(secs => interval_seconds)"
            " WHERE id = :id AND next_poll_at <= now()"
        ),
        {"id": request_id},
    )
    return result.rowcount == 1


def slow_down(conn: Connection, request_id: UUID, seconds: int) -> None:
    """Ask less often from now on. Served by authorization_request_pkey."""
    conn.execute(
        text(
            "UPDATE hub.authorization_request SET interval_seconds = LEAST(interval_seconds + :s, 300),"
            " next_poll_at = next_poll_at + make_interval(secs => :s) WHERE id = :id"
        ),
        {"id": request_id, "s": seconds},
    )


def due_polls(conn: Connection, limit: int) -> Sequence[Row[Any]]:
    """Devices to ask for. Served by authorization_request_expires_at_idx; there are few such rows at any time."""
    return conn.execute(
        text(
            "SELECT tenant_id, integration_id FROM hub.authorization_request WHERE state_hash IS NULL"
            " AND next_poll_at <= now() AND expires_at > now() ORDER BY next_poll_at LIMIT :limit"
        ),
        {"limit": limit},
    ).all()


def drop_requests(conn: Connection, tenant_id: UUID, integration_id: UUID) -> Sequence[Row[Any]]:
    """Nobody of this integration is on the way any more. Served by authorization_request_integration_id_idx.

    Returns:
        `secret_id` of each, to be deleted from the vault.
    """
    return conn.execute(
        text(
            "DELETE FROM hub.authorization_request WHERE integration_id = :id AND tenant_id = :tenant"
            " RETURNING id, secret_id"
        ),
        {"id": integration_id, "tenant": tenant_id},
    ).all()


def drop_request(conn: Connection, request_id: UUID) -> Row[Any] | None:
    """This one is not on the way any more; None when it was gone. Served by authorization_request_pkey."""
    return conn.execute(
        text("DELETE FROM hub.authorization_request WHERE id = :id RETURNING id, secret_id"),
        {"id": request_id},
    ).one_or_none()


def drop_expired(conn: Connection, limit: int) -> Sequence[Row[Any]]:
    """Those who did not come back in time, of all tenants. Served by authorization_request_expires_at_idx.

    Returns:
        `tenant_id` and `secret_id` of each, to be deleted from the vault.
    """
    return conn.execute(
        text(
            "DELETE FROM hub.authorization_request WHERE id IN (SELECT id FROM hub.authorization_request"
            " WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)"
            " RETURNING tenant_id, secret_id"
        ),
        {"limit": limit},
    ).all()
