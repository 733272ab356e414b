"""A database with a tenant and integrations, keepers on it, and authorization servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from hub.access.issuing import open_tenant
from hub.core.clock import SystemClock
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.keeper import Grants
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from hub.vault.keyring import parse_keys
from hub.vault.vault import NewSecret, Vault
from tests.support.servers import MASTER_KEY

LOOPBACK = AddressPolicy(allow=["127.0.0.0/8"], ports=[0])


@dataclass
class Alarms:
    """Remembers what it is told."""

    reasons: list[str] = field(default_factory=list)
    restored_ids: list[UUID] = field(default_factory=list)

    def needs_reauth(self, conn: Connection, holder: Holder, reason: str) -> None:
        self.reasons.append(reason)

    def restored(self, conn: Connection, tenant_id: UUID, integration_id: UUID) -> None:
        self.restored_ids.append(integration_id)


def make_vault() -> Vault:
    return Vault(parse_keys(MASTER_KEY))


@dataclass
class World:
    """What a test works with."""

    engine: Engine
    tenant_id: UUID
    vault: Vault = field(default_factory=make_vault)
    alarms: Alarms = field(default_factory=Alarms)
    _closing: list[Any] = field(default_factory=list)

    @classmethod
    def on(cls, engine: Engine) -> World:
        with engine.begin() as conn:
            return cls(engine, open_tenant(conn, "acme").id)

    def grants(self, owner: str = "worker", **options: Any) -> Grants:
        """A keeper with memory and connections of its own, like a process."""
        session = GuardedSession(LOOPBACK)
        made = Grants(
            self.engine, self.vault, session, SystemClock(), Random(1), owner, listener=self.alarms, **options
        )
        self._closing += [made, session]
        return made

    def holder(self, auth: Mapping[str, Any], **secrets: str) -> Holder:
        """A new integration with these settings and secrets."""
        integration_id = new_uuid()
        with self.engine.begin() as conn:
            ids = self.vault.put_many(
                conn,
                [
                    NewSecret(self.tenant_id, "integration", f"auth.{n}", Secret(v))
                    for n, v in secrets.items()
                ],
            )
            secret_ids = dict(zip(secrets, ids, strict=True))
            conn.execute(
                text(
                    "INSERT INTO hub.integration (id, tenant_id, name, base_url, auth, secret_ids)"
                    " VALUES (:id, :tenant, :name, 'http://127.0.0.1:9', CAST(:auth AS jsonb), CAST(:ids AS jsonb))"
                ),
                {
                    "id": integration_id,
                    "tenant": self.tenant_id,
                    "name": integration_id.hex,
                    "auth": json.dumps(auth),
                    "ids": json.dumps({name: str(one) for name, one in secret_ids.items()}),
                },
            )
        return Holder(
            id=integration_id,
            tenant_id=self.tenant_id,
            base_url="http://127.0.0.1:9",
            parameters=auth,
            secrets={name: Secret(value) for name, value in secrets.items()},
            secret_ids=secret_ids,
        )

    def row(self, holder: Holder) -> Any:
        """The stored grant."""
        with self.engine.connect() as conn:
            return conn.execute(
                text("SELECT * FROM hub.integration_grant WHERE integration_id = :id"), {"id": holder.id}
            ).one()

    def change(self, holder: Holder, assignments: str) -> None:
        """Change the stored grant, such as its times."""
        with self.engine.begin() as conn:
            conn.execute(
                text(f"UPDATE hub.integration_grant SET {assignments} WHERE integration_id = :id"),
                {"id": holder.id},
            )

    def stored(self, secret_id: UUID) -> str:
        with self.engine.connect() as conn:
            return self.vault.get(conn, self.tenant_id, secret_id).reveal()

    def stored_fingerprint(self, secret_id: UUID) -> str:
        return Secret(self.stored(secret_id)).fingerprint

    def secrets_of_grants(self) -> int:
        """How many secrets of grants are in the vault."""
        with self.engine.connect() as conn:
            return int(
                conn.execute(text("SELECT count(*) FROM hub.secret WHERE kind = 'grant'")).scalar_one()
            )

    def close(self) -> None:
        for one in self._closing:
            one.close()


def token_of(granted: Any) -> str:
    """The token that calls carry."""
    return str(granted.credentials.secrets["access_token"].reveal())
