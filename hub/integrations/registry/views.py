"""From rows of the registry to what the API shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id
from hub.integrations.registry.documents import document_of
from hub.integrations.registry.schemas import (
    Integration,
    IntegrationVersion,
    IntegrationVersionDetail,
    SecretView,
)
from hub.integrations.target import TLS_KEY, secret_ids

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from sqlalchemy import Row

    from hub.vault.store import Description


def integration(row: Row[Any], secrets: Mapping[uuid.UUID, Description]) -> Integration:
    """An integration; of its secrets only what may be shown."""
    document = document_of(row)
    auth, tls = dict(document["auth"]), None if document["tls"] is None else dict(document["tls"])
    for name, secret_id in secret_ids(row).items():
        if (found := secrets.get(secret_id)) is None:
            continue
        shown = SecretView(last4=found.last4, fingerprint=found.fingerprint).model_dump()
        if name == TLS_KEY:
            tls = {**(tls or {}), "key": shown}
            continue
        place, _, last = name.rpartition(".")
        if place:
            # A secret that the user named stands in the object that it came in.
            auth[place] = {**auth.get(place, {}), last: shown}
        else:
            auth[last] = shown
    return Integration(
        **document | {"auth": auth, "tls": tls},
        id=format_id(Kind.INTEGRATION, row.id),
        version=row.version,
        created_by=_key(row.created_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def version(row: Row[Any, Any, Any] | Row[Any]) -> IntegrationVersion:
    """A version in a list."""
    return IntegrationVersion(version=row.version, changed_by=_key(row.changed_by), created_at=row.created_at)


def version_detail(row: Row[Any]) -> IntegrationVersionDetail:
    """A version with its document."""
    return IntegrationVersionDetail(**version(row).model_dump(), document=row.document)


def _key(key_id: uuid.UUID | None) -> str | None:
    return None if key_id is None else format_id(Kind.API_KEY, key_id)
