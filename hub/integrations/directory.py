"""A process' view of integrations, ready to be called: loaded once, kept until the tenant's set-up changes.

Every claim of work reads the version of its tenants' set-up, so a change that was committed before an execution was
claimed is honoured for it: there is no time to live and nothing to invalidate.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from hub.access.store import config_versions
from hub.integrations.registry import store
from hub.integrations.target import load_target, secret_ids

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from sqlalchemy import Connection

    from hub.integrations.target import Target
    from hub.vault.vault import Vault

#: Tenants whose integrations are kept; the least recently used ones are forgotten first.
_MAX_TENANTS = 1000


class Directory:
    """The integrations that this process calls, or accepts executions for. Thread-safe.

    Args:
        vault: opens secrets; None leaves them closed, for a process that only judges inputs.
    """

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._tenants: OrderedDict[uuid.UUID, tuple[int, dict[uuid.UUID, Target | None]]] = OrderedDict()

    def targets(
        self, conn: Connection, wanted: Collection[tuple[uuid.UUID, uuid.UUID]]
    ) -> dict[uuid.UUID, Target | None]:
        """Integrations as they are now: one statement, three when something changed.

        Args:
            conn: a connection.
            wanted: (tenant id, integration id) pairs.

        Returns:
            By integration id: only those that the tenant has; None for one that cannot be read here.
        """
        pairs = set(wanted)
        tenants = {tenant for tenant, _ in pairs}
        versions = config_versions(conn, tenants)
        with self._lock:
            for tenant in tenants:
                version = versions.get(tenant, 0)
                kept = self._tenants.pop(tenant, None)
                # An older snapshot than what is kept must not bring back what was changed since.
                self._tenants[tenant] = kept if kept is not None and kept[0] >= version else (version, {})
            missing = {(tenant, one) for tenant, one in pairs if one not in self._tenants[tenant][1]}
            known = {
                one: self._tenants[tenant][1][one] for tenant, one in pairs if one in self._tenants[tenant][1]
            }
            places = {tenant: self._tenants[tenant][1] for tenant in tenants}
            while len(self._tenants) > _MAX_TENANTS:
                self._tenants.popitem(last=False)
        if missing:
            loaded = self._load(conn, missing)
            with self._lock:
                for tenant, one in missing:
                    # Nothing is kept of ids that are none: whoever makes them up could fill the memory.
                    if one in loaded:
                        places[tenant][one] = loaded[one]
            known |= loaded
        return known

    def _load(
        self, conn: Connection, missing: Collection[tuple[uuid.UUID, uuid.UUID]]
    ) -> dict[uuid.UUID, Target | None]:
        rows = store.load_integrations(conn, missing)
        wanted = [(row.tenant_id, secret) for row in rows.values() for secret in secret_ids(row).values()]
        opened = self._vault.get_many(conn, wanted) if self._vault is not None and wanted else {}
        return {one: load_target(row, opened) for one, row in rows.items()}
