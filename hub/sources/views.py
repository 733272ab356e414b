"""Rows of sources as JSON."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id
from hub.sources import schemas
from hub.sources.overlap import live_ids
from hub.sources.verification import PROFILES

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from sqlalchemy import Row

    from hub.vault.store import Description

_ACCEPTS_NOTHING = (
    "It has no secret, so it accepts nothing: give it the one that the provider signs with, by its `rotate`."
)


def source_view(
    row: Row[Any], shown: Mapping[uuid.UUID, Description], *, origin: str, now: datetime
) -> schemas.Source:
    """A source.

    Args:
        row: of the source.
        shown: what may be shown of its secrets.
        origin: scheme, host and path under which the API is reached.
        now: decides which secrets are valid.
    """
    source_id = format_id(Kind.SOURCE, row.id)
    secrets = [
        schemas.SecretView(
            id=format_id(Kind.SECRET, one),
            created_at=shown[one].created_at,
            last4=shown[one].last4,
            fingerprint=shown[one].fingerprint,
            expires_at=None if until is None else datetime.fromtimestamp(until, UTC),
        )
        for one, until in live_ids(row.secrets, now.timestamp())
        if one in shown
    ]
    same = {
        name: getattr(row, name)
        for name in schemas.Source.model_fields
        if name not in {"id", "url", "secrets", "warning"}
    }
    return schemas.Source(
        **same,
        id=source_id,
        url=f"{origin}/in/{source_id}",
        secrets=secrets,
        warning=_ACCEPTS_NOTHING if not secrets and needs_secret(row.verifier) else None,
    )


def needs_secret(spec: Mapping[str, Any]) -> bool:
    """Does a stored verifier accept nothing without a secret?"""
    profile = PROFILES.get(spec.get("profile", ""))
    return profile is not None and profile.needs_secret


def request_view(row: Row[Any]) -> dict[str, Any]:
    """A request, for `schemas.InboundRequest`."""
    return {
        "id": format_id(Kind.RECEIPT, row.id),
        "source": format_id(Kind.SOURCE, row.source_id),
        "received_at": row.received_at,
        "method": row.method,
        "path": row.path,
        "query": row.query,
        "peer": row.peer,
        "outcome": row.outcome,
        "reason": row.reason,
        "detail": row.detail,
        "provider_event_id": row.event_id,
        "provider_event_type": row.event_type,
        "event": None if row.message_id is None else format_id(Kind.MESSAGE, row.message_id),
        "body_bytes": row.body_bytes,
    }


def request_detail(row: Row[Any]) -> schemas.InboundRequestDetail:
    """A request with headers and body: text where it is text, else base64."""
    body: str | None = None
    encoding = None
    if row.body is not None:
        try:
            body, encoding = bytes(row.body).decode(), "text"
        except UnicodeDecodeError:
            body, encoding = base64.b64encode(row.body).decode(), "base64"
    return schemas.InboundRequestDetail(
        **request_view(row), headers=row.headers, body=body, body_encoding=encoding
    )
