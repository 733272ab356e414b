"""Workers' view of the endpoints: loaded once per tenant, kept until the tenant's set-up changes.

Every claim of work reads the version of its tenants' set-up, so a change that was committed before an event was
claimed is honoured for that event: there is no time to live and nothing to invalidate.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.access.store import config_versions
from hub.core.errors import Invalid
from hub.core.ids import Kind, format_id
from hub.webhooks import store
from hub.webhooks.signing import decode_secret

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

    from hub.core.secret import Secret
    from hub.core.settings import Settings
    from hub.vault.vault import Vault


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint, ready to be called.

    Attributes:
        hold: why nothing may be sent to it now; None when it is fine.
        headers: rendered header lines.
        keys: signing keys, the current one first.
        timeout: seconds, total.
        schedule: seconds between attempts.
    """

    id: uuid.UUID
    url: str
    patterns: tuple[str, ...]
    hold: str | None
    headers: tuple[str, ...]
    keys: tuple[bytes, ...]
    timeout: float
    schedule: tuple[float, ...]


class Directory:
    """The endpoints of the tenants that this process serves.

    Args:
        vault: opens signing secrets.
        settings: the deployment's timeout and retry schedule.
    """

    def __init__(self, vault: Vault, settings: Settings) -> None:
        self._vault = vault
        self._settings = settings
        self._tenants: dict[uuid.UUID, tuple[int, dict[uuid.UUID, Target]]] = {}

    def refresh(self, conn: Connection, tenant_ids: Collection[uuid.UUID]) -> None:
        """Load what changed for these tenants: one statement, three when something did."""
        versions = config_versions(conn, tenant_ids)
        stale = {t: v for t, v in versions.items() if t not in self._tenants or self._tenants[t][0] != v}
        if not stale:
            return
        rows = store.load_endpoints(conn, stale)
        secrets = self._vault.get_many(conn, [(row.tenant_id, row.secret_id) for row in rows])
        fresh: dict[uuid.UUID, dict[uuid.UUID, Target]] = {tenant: {} for tenant in stale}
        for row in rows:
            fresh[row.tenant_id][row.id] = self._readable(row, secrets.get(row.secret_id))
        for tenant, targets in fresh.items():
            self._tenants[tenant] = (stale[tenant], targets)

    def settled(self, conn: Connection, tenant_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """The tenants whose set-up is still what was loaded; it stays so until the transaction ends.

        To be asked before a delivery is held: one that were held just after its endpoint was activated, by a worker
        that does not know it yet, would wait for ever.
        """
        versions = store.lock_config_versions(conn, tenant_ids)
        return {tenant for tenant, version in versions.items() if self._tenants[tenant][0] == version}

    def targets(self, tenant_id: uuid.UUID) -> Collection[Target]:
        """The tenant's endpoints as of the last refresh."""
        return self._tenants.get(tenant_id, (0, {}))[1].values()

    def target(self, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> Target | None:
        """One endpoint; None when it was deleted."""
        return self._tenants.get(tenant_id, (0, {}))[1].get(endpoint_id)

    def _readable(self, row: Row[Any], secret: Secret | None) -> Target:
        """One endpoint; a row that somebody spoilt by hand is held, and does not stop its tenant's other endpoints."""
        try:
            return self._target(row, (decode_secret(secret),) if secret is not None else ())
        except (Invalid, TypeError, ValueError, AttributeError) as error:
            # The type says enough; a traceback for each load would bury the rest of the log.
            log.warning(
                "Endpoint %s is not readable (%s).", format_id(Kind.ENDPOINT, row.id), type(error).__name__
            )
            return Target(row.id, "", tuple(row.event_types), "endpoint_unreadable", (), (), 0.0, ())

    def _target(self, row: Row[Any], keys: tuple[bytes, ...]) -> Target:
        hold = None if row.status == "active" else f"endpoint_{row.status}"
        return Target(
            id=row.id,
            url=row.url,
            patterns=tuple(row.event_types),
            hold=hold or (None if keys else "secret_unreadable"),
            headers=tuple(f"{name}: {value}" for name, value in row.headers.items()),
            keys=keys,
            timeout=row.timeout_seconds or self._settings.webhook_timeout_seconds,
            schedule=self._settings.webhook_retry_schedule
            if row.retry_schedule is None
            else tuple(float(seconds) for seconds in row.retry_schedule),
        )
