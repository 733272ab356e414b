"""Every statement of grants (`request_store` has those of people on their way to give one).

Times are the database's: the clocks of machines may differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from hub.access.store import bump_config_version

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection, Row

_READ = (
    "*, CAST(EXTRACT(epoch FROM expires_at - now()) AS float8) AS life_left,"
    " CAST(EXTRACT(epoch FROM expires_at - obtained_at) AS float8) AS life,"
    " CAST(EXTRACT(epoch FROM refresh_at - now()) AS float8) AS refresh_in,"
    " CAST(EXTRACT(epoch FROM lease_until - now()) AS float8) AS lease_left,"
    " CAST(EXTRACT(epoch FROM not_before - now()) AS float8) AS rest_left"
)


def find_integration(conn: Connection, tenant_id: UUID, integration_id: UUID) -> Row[Any] | None:
    """What a holder is made of. Served by integration_pkey."""
    return conn.execute(
        text(
            "SELECT id, tenant_id, name, base_url, settings, auth, secret_ids FROM hub.integration"
            " WHERE id = :id AND tenant_id = :tenant"
        ),
        {"id": integration_id, "tenant": tenant_id},
    ).one_or_none()


def find_grant(
    conn: Connection, tenant_id: UUID, integration_id: UUID, *, lock: bool = False
) -> Row[Any] | None:
    """One grant, with its times as seconds from now. Served by integration_grant_pkey.

    Args:
        conn: a connection.
        tenant_id: whose.
        integration_id: which.
        lock: nobody else changes it until the transaction ends.
    """
    return conn.execute(
        text(
            f"SELECT {_READ} FROM hub.integration_grant WHERE integration_id = :id AND tenant_id = :tenant"  # noqa: S608
            + (" FOR UPDATE" if lock else "")
        ),
        {"id": integration_id, "tenant": tenant_id},
    ).one_or_none()


def open_grant(conn: Connection, tenant_id: UUID, integration_id: UUID) -> None:
    """Write an empty grant where there is none, for an integration that there is. Served by both primary keys."""
    conn.execute(
        text(
            "INSERT INTO hub.integration_grant (integration_id, tenant_id)"
            " SELECT id, tenant_id FROM hub.integration WHERE id = :id AND tenant_id = :tenant"
            " ON CONFLICT (integration_id) DO NOTHING"
        ),
        {"id": integration_id, "tenant": tenant_id},
    )


def take_lease(
    conn: Connection, integration_id: UUID, *, version: int, fence: int, owner: str, seconds: float
) -> int | None:
    """Begin a renewal of what was read: take the lease and write the intent. Served by integration_grant_pkey.

    Returns:
        The new fence; None when somebody was faster.
    """
    row = conn.execute(
        text(
            "UPDATE hub.integration_grant SET lease_owner = :owner, lease_until = now() + make_interval(secs => :s),"
            " fence = fence + 1, intent_at = now(), updated_at = now()"
            " WHERE integration_id = :id AND version = :version AND fence = :fence"
            " AND (lease_until IS NULL OR lease_until <= now()) RETURNING fence"
        ),
        {"id": integration_id, "version": version, "fence": fence, "owner": owner, "s": seconds},
    ).one_or_none()
    return None if row is None else int(row.fence)


def keep_tokens(
    conn: Connection, integration_id: UUID, *, version: int, fence: int, values: dict[str, Any]
) -> bool:
    """Store what a renewal brought, as the next version. Served by integration_grant_pkey.

    Whoever has the newest lease may. So may one whose lease has lapsed, as long as nothing newer was stored: its tokens
    may be the only ones that still work.

    Args:
        conn: a connection inside a transaction.
        integration_id: whose.
        version: that was renewed.
        fence: of the renewal.
        values: `access`, `refresh`, `basis`, `life`, `refresh_after` (seconds or None), `scopes`, `metadata` (JSON
            text).

    Returns:
        False when it is too late.
    """
    return _keep(conn, integration_id, values, version=version, fence=fence, always=False)


def replace_tokens(conn: Connection, integration_id: UUID, *, values: dict[str, Any]) -> bool:
    """Store what a person granted, over everything that there was; renewals under way come too late.

    Served by integration_grant_pkey. Arguments as for `keep_tokens`.
    """
    return _keep(conn, integration_id, values, version=0, fence=0, always=True)


def _keep(
    conn: Connection, integration_id: UUID, values: dict[str, Any], *, version: int, fence: int, always: bool
) -> bool:
    result = conn.execute(
        text(
            "UPDATE hub.integration_grant SET state = 'active', version = version + 1, fence = fence + 1,"
            " access_secret_id = :access, refresh_secret_id = :refresh, basis = :basis, obtained_at = now(),"
            " expires_at = now() + make_interval(secs => CAST(:life AS float8)),"
            " refresh_at = now() + make_interval(secs => CAST(:refresh_after AS float8)),"
            " scopes = :scopes, metadata = CAST(:metadata AS jsonb), failures = 0, not_before = NULL,"
            " last_error = NULL, refused_with = NULL, updated_at = now(), lease_owner = NULL, lease_until = NULL,"
            " intent_at = NULL"
            " WHERE integration_id = :id AND (:always OR fence = :fence OR version = :version)"
        ),
        {**values, "id": integration_id, "version": version, "fence": fence, "always": always},
    )
    return result.rowcount == 1


def note_failure(
    conn: Connection, integration_id: UUID, *, fence: int, message: str, pause: float, uncertain: bool
) -> None:
    """End a renewal without an answer: the tokens stay, the provider rests. Served by integration_grant_pkey.

    Args:
        conn: a connection inside a transaction.
        integration_id: whose.
        fence: of the renewal.
        message: what went wrong.
        pause: seconds to leave the provider alone.
        uncertain: this question or an earlier one may have been answered, so its intent stays.
    """
    conn.execute(
        text(
            "UPDATE hub.integration_grant SET fence = fence + 1, failures = failures + 1, last_error = :message,"
            " not_before = now() + make_interval(secs => :pause), updated_at = now(), lease_owner = NULL,"
            " lease_until = NULL, intent_at = CASE WHEN :uncertain THEN intent_at END"
            " WHERE integration_id = :id AND fence = :fence"
        ),
        {"id": integration_id, "fence": fence, "message": message, "pause": pause, "uncertain": uncertain},
    )


def note_refusal(
    conn: Connection, integration_id: UUID, *, version: int, fence: int, message: str, asked: str
) -> bool:
    """A person has to act, unless somebody stored or began something newer. Served by integration_grant_pkey.

    Returns:
        True when it is this statement that changed the state or what was refused.
    """
    result = conn.execute(
        text(
            "UPDATE hub.integration_grant SET state = 'needs_reauth', fence = fence + 1, last_error = :message,"
            " refused_with = :asked, not_before = NULL, updated_at = now(), lease_owner = NULL, lease_until = NULL,"
            " intent_at = NULL"
            " WHERE integration_id = :id AND version = :version AND fence = :fence"
        ),
        {"id": integration_id, "version": version, "fence": fence, "message": message, "asked": asked},
    )
    return result.rowcount == 1


def note_error(conn: Connection, tenant_id: UUID, integration_id: UUID, message: str) -> None:
    """What went wrong while a person was asked; nothing else changes. Served by integration_grant_pkey."""
    conn.execute(
        text(
            "UPDATE hub.integration_grant SET last_error = :message, updated_at = now()"
            " WHERE integration_id = :id AND tenant_id = :tenant"
        ),
        {"id": integration_id, "tenant": tenant_id, "message": message},
    )


def reject(conn: Connection, tenant_id: UUID, integration_id: UUID, version: int, *, min_age: float) -> None:
    """The service refused this version. Once a version, and not one so young. Served by integration_grant_pkey."""
    conn.execute(
        text(
            "UPDATE hub.integration_grant SET rejected_version = version, updated_at = now()"
            " WHERE integration_id = :id AND tenant_id = :tenant AND version = :version"
            " AND rejected_version IS DISTINCT FROM version"
            " AND obtained_at <= now() - make_interval(secs => :min_age)"
        ),
        {"id": integration_id, "tenant": tenant_id, "version": version, "min_age": min_age},
    )


def note_account(conn: Connection, tenant_id: UUID, integration_id: UUID) -> None:
    """A person connected or disconnected it: workers load it again. Served by integration_pkey and tenant_pkey."""
    conn.execute(
        text("UPDATE hub.integration SET granted_at = now() WHERE id = :id AND tenant_id = :tenant"),
        {"id": integration_id, "tenant": tenant_id},
    )
    bump_config_version(conn, tenant_id)


def forget_grant(conn: Connection, tenant_id: UUID, integration_id: UUID) -> None:
    """Back to nothing; renewals under way come too late. Served by integration_grant_pkey."""
    conn.execute(
        text(
            "UPDATE hub.integration_grant SET state = 'none', version = version + 1, fence = fence + 1,"
            " access_secret_id = NULL, refresh_secret_id = NULL, basis = '', obtained_at = NULL, expires_at = NULL,"
            " refresh_at = NULL, scopes = '{}', metadata = '{}', failures = 0, not_before = NULL, last_error = NULL,"
            " refused_with = NULL, updated_at = now(), lease_owner = NULL, lease_until = NULL,"
            " intent_at = NULL"
            " WHERE integration_id = :id AND tenant_id = :tenant"
        ),
        {"id": integration_id, "tenant": tenant_id},
    )
