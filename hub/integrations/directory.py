"""Workers' view of integrations, ready to be called: loaded once, kept until the tenant's set-up changes.

Every claim of work reads the version of its tenants' set-up, so a change that was committed before an execution was
claimed is honoured for it: there is no time to live and nothing to invalidate.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.access.store import config_versions
from hub.integrations import auth as authentication
from hub.integrations import store
from hub.integrations.redaction import Redactor
from hub.integrations.request import Operation
from hub.integrations.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from sqlalchemy import Connection, Row

    from hub.core.secret import Secret
    from hub.net.session import Auth
    from hub.vault.vault import Vault

#: Tenants whose integrations are kept; the least recently used ones are forgotten first.
_MAX_TENANTS = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """One integration.

    Attributes:
        hold: why nothing may be sent to it now; None when it is fine.
        base_url: without a slash at its end.
        timeout: seconds for one call.
        auth: adds the credentials; None when there are none to add.
        unreadable: its secrets cannot be read, so no call can be made.
        redactor: masks its secrets in what comes back.
        health_check: the stored definition.
        pool_key: connections are shared only between calls of this version.
    """

    id: uuid.UUID
    tenant_id: uuid.UUID
    hold: str | None
    base_url: str
    headers: Mapping[str, str]
    timeout: float
    follow_redirects: int
    retry: RetryPolicy
    operations: Mapping[str, Operation]
    auth: Auth | None
    unreadable: bool
    redactor: Redactor
    health_check: Mapping[str, Any] | None
    pool_key: Hashable


def secret_ids(row: Row[Any]) -> dict[str, uuid.UUID]:
    """The vault ids of an integration's secrets, by name."""
    return {name: uuid.UUID(text) for name, text in row.secret_ids.items()}


def load_target(row: Row[Any], opened: Mapping[uuid.UUID, Secret]) -> Target:
    """Make an integration ready.

    Args:
        row: of the table `integration`.
        opened: its secrets by vault id; one that is missing could not be read.
    """
    ids = secret_ids(row)
    secrets = {name: opened[secret_id] for name, secret_id in ids.items() if secret_id in opened}
    readable = all(name in secrets for name in authentication.SECRETS[row.auth["mode"]])
    return Target(
        id=row.id,
        tenant_id=row.tenant_id,
        hold=None if row.status in store.CALLABLE else store.HELD_BY_STATUS + row.status,
        base_url=row.base_url,
        headers=row.headers,
        timeout=row.timeout_seconds,
        follow_redirects=row.follow_redirects,
        retry=RetryPolicy.of(row.retry_policy),
        operations={name: Operation.of(stored) for name, stored in row.operations.items()},
        auth=authentication.build(row.auth, secrets) if readable else None,
        unreadable=not readable,
        redactor=Redactor(authentication.traces(row.auth, secrets) if readable else ()),
        health_check=row.health_check,
        pool_key=(row.id, row.version),
    )


class Directory:
    """The integrations that this process calls. Not thread-safe: the pump's feeder alone uses it.

    Args:
        vault: opens secrets.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._tenants: OrderedDict[uuid.UUID, tuple[int, dict[uuid.UUID, Target | None]]] = OrderedDict()

    def targets(
        self, conn: Connection, wanted: Collection[tuple[uuid.UUID, uuid.UUID]]
    ) -> dict[uuid.UUID, Target | None]:
        """Integrations as they are now: one statement, three when something changed.

        Args:
            conn: a connection.
            wanted: (tenant id, integration id) pairs.

        Returns:
            By integration id; None for one that the tenant does not have.
        """
        pairs = set(wanted)
        versions = config_versions(conn, {tenant for tenant, _ in pairs})
        for tenant in {tenant for tenant, _ in pairs}:
            version = versions.get(tenant, 0)
            kept = self._tenants.pop(tenant, None)
            self._tenants[tenant] = kept if kept is not None and kept[0] == version else (version, {})
        missing = {(tenant, one) for tenant, one in pairs if one not in self._tenants[tenant][1]}
        if missing:
            self._load(conn, missing)
        found = {one: self._tenants[tenant][1][one] for tenant, one in pairs}
        while len(self._tenants) > _MAX_TENANTS:
            self._tenants.popitem(last=False)
        return found

    def _load(self, conn: Connection, missing: Collection[tuple[uuid.UUID, uuid.UUID]]) -> None:
        rows = store.load_integrations(conn, missing)
        opened = self._vault.get_many(
            conn, [(row.tenant_id, secret) for row in rows.values() for secret in secret_ids(row).values()]
        )
        for tenant, one in missing:
            row = rows.get(one)
            ours = row is not None and row.tenant_id == tenant
            self._tenants[tenant][1][one] = load_target(row, opened) if row is not None and ours else None
