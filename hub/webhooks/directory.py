"""Workers' view of the endpoints and retry policies: loaded once, kept until the tenant's set-up changes.

Every claim of work reads the version of its tenants' set-up, so a change that was committed before an event was
claimed is honoured for that event: there is no time to live and nothing to invalidate. When a version moved, only
the endpoints that changed are loaded and their secrets opened.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.access.store import config_versions
from hub.core.errors import Invalid
from hub.core.ids import Kind, format_id
from hub.webhooks import store
from hub.webhooks.catalogue.store import load_retry_policies
from hub.webhooks.retry import Schedules, schedule_of
from hub.webhooks.target import secret_ids, target_of, unreadable

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.core.clock import Clock
    from hub.core.secret import Secret
    from hub.core.settings import Settings
    from hub.vault.vault import Vault
    from hub.webhooks.target import Target


log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Tenant:
    """What is known of one tenant."""

    version: int = -1
    targets: dict[uuid.UUID, Target] = field(default_factory=dict)
    #: Of each event type that was asked for: who subscribes to it, by id.
    subscribers: dict[tuple[str, str], Sequence[Target]] = field(default_factory=dict)
    #: When the first of the signing keys of a rotation's overlap ends.
    expires_at: datetime | None = None
    #: What its deliveries are retried by, where their endpoint does not say; None: as the deployment does.
    schedules: Schedules | None = None


_NOBODY = _Tenant()
#: Event types whose subscribers are remembered; a publisher of endless types must not fill memory.
_MAX_TYPES = 10_000


class Directory:
    """The endpoints of the tenants that this process serves.

    Args:
        vault: opens secrets.
        settings: the deployment's timeout and retry schedule.
        clock: ends the overlap of a rotation.
    """

    def __init__(self, vault: Vault, settings: Settings, clock: Clock) -> None:
        self._vault = vault
        self._settings = settings
        self._clock = clock
        self._deployment = Schedules(settings.webhook_retry_schedule, {})
        self._tenants: dict[uuid.UUID, _Tenant] = {}

    def refresh(self, conn: Connection, tenant_ids: Collection[uuid.UUID]) -> None:
        """Load what changed for these tenants: one statement, five when something did."""
        versions = config_versions(conn, tenant_ids)
        now = self._clock.now()
        stale = {}
        for tenant_id, version in versions.items():
            known = self._tenants.get(tenant_id, _NOBODY)
            if known.version != version or (known.expires_at is not None and known.expires_at <= now):
                stale[tenant_id] = version
        if stale:
            self._load(conn, stale, now)

    def _load(self, conn: Connection, stale: dict[uuid.UUID, int], now: datetime) -> None:
        present: dict[uuid.UUID, dict[uuid.UUID, int]] = {tenant_id: {} for tenant_id in stale}
        for tenant_id, endpoint_id, endpoint_version in store.list_endpoint_versions(conn, stale):
            present[tenant_id][endpoint_id] = endpoint_version
        schedules = self._load_schedules(conn, stale)
        kept: dict[uuid.UUID, dict[uuid.UUID, Target]] = {}
        changed = []
        for tenant_id in stale:
            old = self._tenants.get(tenant_id, _NOBODY).targets
            kept[tenant_id] = {
                key: old[key]
                for key, endpoint_version in present[tenant_id].items()
                if key in old and old[key].version == endpoint_version and not old[key].expired(now)
            }
            changed += [key for key in present[tenant_id] if key not in kept[tenant_id]]
        rows = store.load_endpoints(conn, changed) if changed else []
        wanted = [(row.tenant_id, key) for row in rows for key in secret_ids(row)]
        secrets = self._vault.get_many(conn, wanted) if wanted else {}
        for row in rows:
            kept[row.tenant_id][row.id] = self._readable(row, secrets, now)
        # Not before all of it is here: a version that was noted without its endpoints would fan events out to nobody.
        for tenant_id, version in stale.items():
            targets = dict(sorted(kept[tenant_id].items()))
            ends = [target.expires_at for target in targets.values() if target.expires_at is not None]
            self._tenants[tenant_id] = _Tenant(
                version, targets, expires_at=min(ends, default=None), schedules=schedules.get(tenant_id)
            )

    def _load_schedules(self, conn: Connection, stale: Collection[uuid.UUID]) -> dict[uuid.UUID, Schedules]:
        """What these tenants and their event types say of retries; those who say nothing are missing."""
        defaults: dict[uuid.UUID, tuple[float, ...]] = {}
        by_type: dict[uuid.UUID, dict[str, tuple[float, ...]]] = {}
        for tenant_id, event_type, policy in load_retry_policies(conn, stale):
            try:
                schedule = schedule_of(policy)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                # Somebody spoilt the row by hand: what is less specific holds, and deliveries go on.
                log.warning(
                    "The retry policy of tenant %s for %s is not readable (%s).",
                    format_id(Kind.TENANT, tenant_id),
                    event_type or "all event types",
                    type(error).__name__,
                )
                continue
            if schedule is None:
                continue
            if event_type is None:
                defaults[tenant_id] = schedule
            else:
                by_type.setdefault(tenant_id, {})[event_type] = schedule
        return {
            tenant_id: Schedules(
                defaults.get(tenant_id, self._deployment.default), by_type.get(tenant_id, {})
            )
            for tenant_id in defaults.keys() | by_type.keys()
        }

    def version(self, tenant_id: uuid.UUID) -> int:
        """The version of a tenant's set-up that is known here; -1 before the first `refresh`."""
        return self._tenants.get(tenant_id, _NOBODY).version

    def schedule(self, tenant_id: uuid.UUID, target: Target, event_type: str) -> tuple[float, ...]:
        """Seconds between the attempts of a delivery: its endpoint's, event type's, tenant's or the deployment's.

        Args:
            tenant_id: whose.
            target: the endpoint, as it was when the delivery was claimed.
            event_type: of the event.
        """
        schedules = self._tenants.get(tenant_id, _NOBODY).schedules or self._deployment
        return schedules.of(target.schedule, event_type)

    def subscribers(self, tenant_id: uuid.UUID, kind: str, event_type: str) -> Sequence[Target]:
        """The endpoints that take this event type, in the order of their ids.

        Args:
            tenant_id: whose.
            kind: `events` or `operations`.
            event_type: such as `invoice.paid`.
        """
        tenant = self._tenants.get(tenant_id, _NOBODY)
        found = tenant.subscribers.get((kind, event_type))
        if found is None:
            found = tuple(t for t in tenant.targets.values() if t.kind == kind and t.takes(event_type))
            if tenant is not _NOBODY:
                if len(tenant.subscribers) >= _MAX_TYPES:
                    tenant.subscribers.clear()
                tenant.subscribers[kind, event_type] = found
        return found

    def targets(self, tenant_id: uuid.UUID) -> Collection[Target]:
        """All endpoints of a tenant, in the order of their ids."""
        return self._tenants.get(tenant_id, _NOBODY).targets.values()

    def target(self, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> Target | None:
        """One endpoint; None when it was deleted."""
        return self._tenants.get(tenant_id, _NOBODY).targets.get(endpoint_id)

    def _readable(self, row: Row[Any], secrets: dict[uuid.UUID, Secret], now: datetime) -> Target:
        """One endpoint; a row that somebody spoilt by hand is held, and does not stop its tenant's other endpoints."""
        try:
            return target_of(row, secrets, self._settings, now)
        except (Invalid, TypeError, ValueError, AttributeError, KeyError) as error:
            # The type says enough; a traceback for each load would bury the rest of the log.
            log.warning(
                "Endpoint %s is not readable (%s).", format_id(Kind.ENDPOINT, row.id), type(error).__name__
            )
            return unreadable(row)
