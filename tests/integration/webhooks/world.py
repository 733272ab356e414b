"""A tenant with endpoints, a way to publish, and a delivery pump that runs when a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from hub.access.issuing import open_tenant
from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.core.clock import SystemClock
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.core.settings import Settings, load_settings
from hub.net.multi import MultiSender
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from hub.net.token import TokenSource
from hub.queue.contracts import TaskName
from hub.queue.pump import Pump, Report
from hub.transforms.sandbox import Sandbox
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from hub.webhooks import history_store, store
from hub.webhooks.admission import Admission
from hub.webhooks.catalogue.validation import Catalogue
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.directory import Directory
from hub.webhooks.endpoints import service
from hub.webhooks.endpoints.checking import check
from hub.webhooks.endpoints.schemas import EndpointCreate, EndpointUpdate
from hub.webhooks.events import Options, make_event
from hub.webhooks.publishing import Publication, Receipt, write
from hub.webhooks.sending import DeliveryRunner
from hub.webhooks.statistics import Statistics
from tests.support.servers import MASTER_KEY


class SilentBell:
    """Nobody rings: what a pump finds, it finds by looking."""

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> bool:
        return True

    def wake(self, task: TaskName) -> None: ...

    def sleep(self, task: TaskName) -> None: ...

    def call_help(self, task: TaskName) -> None: ...

    def answered(self, task: TaskName) -> bool:
        return False

    def answered_after_sleep(self, task: TaskName) -> bool:
        return False


@dataclass
class World:
    """What a test works with."""

    engine: Engine
    settings: Settings
    caller: Principal
    vault: Vault
    policy: AddressPolicy
    secrets: dict[UUID, Secret] = field(default_factory=dict)

    @property
    def tenant_id(self) -> UUID:
        return self.caller.tenant_id

    def endpoint(
        self, url: str, name: str = "one", *, retries: Sequence[float] | None = None, **fields: Any
    ) -> UUID:
        """Make an endpoint; `retries` are the seconds between its attempts."""
        if retries is not None:
            fields["retry_policy"] = {"strategy": "schedule", "delays": list(retries)}
        body = EndpointCreate(name=name, url=url, **fields)
        check(body, self.policy, datetime.now(UTC))
        with self.engine.begin() as conn:
            row, secret = service.create(conn, self.caller, body, vault=self.vault, now=datetime.now(UTC))
        self.secrets[row.id] = secret
        found: UUID = row.id
        return found

    def change(self, endpoint_id: UUID, **fields: Any) -> bool:
        """Change an endpoint; was it activated?"""
        body = EndpointUpdate(**fields)
        check(body, self.policy, datetime.now(UTC))
        with self.engine.begin() as conn:
            return service.change(
                conn, self.caller, endpoint_id, body, vault=self.vault, now=datetime.now(UTC)
            )[1]

    def remove(self, endpoint_id: UUID) -> None:
        with self.engine.begin() as conn:
            service.remove(conn, self.caller, endpoint_id, vault=self.vault)

    def publish(
        self, *data: str, type_: str = "invoice.paid", ids: Sequence[str | None] = (), **options: Any
    ) -> list[Receipt]:
        """Publish one event for each JSON text."""
        chosen = Options(**options)
        events = [make_event(type_, one, ids[n] if ids else None, chosen) for n, one in enumerate(data)]
        with self.engine.begin() as conn:
            answer = write(conn, [Publication(self.tenant_id, events, "http")])[0]
        assert isinstance(answer, list)
        return answer

    def source(
        self,
        owner: str = "anna",
        *,
        directory: Directory | None = None,
        capacity: int = 1000,
        max_bytes: int = 64 * 1_048_576,
        lease: float = 60.0,
    ) -> DeliverySource:
        return DeliverySource(
            self.engine,
            directory or self.directory(),
            Catalogue(self.engine),
            Admission(capacity, max_bytes=max_bytes),
            Statistics(),
            clock=SystemClock(),
            rng=Random(1),
            owner=owner,
            lease=lease,
        )

    def directory(self) -> Directory:
        return Directory(self.vault, self.settings, SystemClock())

    def deliver(self, source: DeliverySource | None = None, *, capacity: int = 500) -> Report:
        """Run one delivery pump until nothing is due."""
        runner = DeliveryRunner(
            MultiSender(self.policy, max_in_flight=capacity + 500),
            SystemClock(),
            Sandbox(),
            TokenSource(GuardedSession(self.policy)),
        )
        pump = Pump(
            TaskName.DELIVERIES_SEND, source or self.source(), runner, SilentBell(), capacity=capacity,  # type: ignore[arg-type]
            slice_seconds=60, linger=0.0, grace=0.0, stopping=lambda: False,
        )  # fmt: skip
        try:
            return pump.run()
        finally:
            runner.abort()

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as conn:
            result = conn.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def states(self, columns: str = "state, reason") -> list[tuple[Any, ...]]:
        """Of all deliveries, oldest first."""
        return self.sql(f"SELECT {columns} FROM hub.delivery ORDER BY id")

    def seen_states(self) -> list[tuple[str, str | None]]:
        """State and reason as people see them, oldest first."""
        with self.engine.connect() as conn:
            rows = history_store.list_deliveries(
                conn, self.tenant_id, message_id=None, endpoint_id=None, state=None, before=None, limit=1000
            )
        return [(row.state, row.reason) for row in reversed(rows)]

    def message_states(self) -> list[tuple[str, str | None]]:
        """State and reason of all events as people see them, oldest first."""
        with self.engine.connect() as conn:
            rows = history_store.list_messages(conn, self.tenant_id, event_type=None, before=None, limit=1000)
        return [(row.state, row.reason) for row in reversed(rows)]

    def sweep(self) -> list[UUID]:
        """Take back what lapsed, and empty the lanes that are to be emptied; the ids that lapsed."""
        lapsed: list[UUID] = []
        while True:
            with self.engine.begin() as conn:
                rows = store.DELIVERIES.lapse(conn)
            if not rows:
                break
            lapsed += [row.id for row in rows]
        emptied = 1
        while emptied:
            with self.engine.begin() as conn:
                emptied = store.DELIVERIES.sweep_discarded(conn, keep=store.ENDPOINT_DELETED)
        return lapsed

    def let_leases_lapse(self) -> None:
        """As if their workers had been silent for too long."""
        self.sql("UPDATE hub.delivery SET lease_until = now() - interval '1 second' WHERE state = 'leased'")
        self.sql("UPDATE hub.delivery_lease SET until = now() - interval '1 second'")

    def let_pass(self, seconds: float) -> None:
        """As if so much time had passed in the database: all that is stored is so much older."""
        values = {"s": seconds}
        shift = "{0} = {0} - make_interval(secs => :s)".format
        for table, columns in {
            "outbox": ["due_at"],
            "message": ["expires_at"],
            "delivery": ["due_at", "lease_until"],
            "delivery_waiting": ["due_at"],
            "delivery_lease": ["until"],
            "delivery_lane": ["wake_at", "hold_until", "refilled_at"],
        }.items():
            self.sql(f"UPDATE hub.{table} SET {', '.join(map(shift, columns))}", **values)

    def everything_due(self) -> None:
        """Whatever waits for its retry has waited long enough."""
        self.sql(
            "WITH d AS (UPDATE hub.delivery SET due_at = now() WHERE state = 'due' RETURNING id),"
            " w AS (UPDATE hub.delivery_waiting SET due_at = now() FROM d WHERE d.id = delivery_waiting.id)"
            " UPDATE hub.delivery_lane SET wake_at = now() WHERE hold IS NULL"
        )


@contextmanager
def running_world(engine: Engine, database_url: str, tenant: str = "acme") -> Iterator[World]:
    settings = load_settings(
        {
            "HUB_DATABASE_URL": database_url,
            "HUB_MASTER_KEYS": MASTER_KEY,
            "HUB_EGRESS_ALLOW": "127.0.0.0/8",
            "HUB_EGRESS_PORTS": "0",
        }
    )
    with engine.begin() as conn:
        tenant_id = open_tenant(conn, tenant).id
    yield World(
        engine,
        settings,
        Principal(tenant_id, new_uuid(), frozenset({Scope.ADMIN})),
        Vault(KeyRing.from_settings(settings)),
        AddressPolicy.from_settings(settings),
    )
