"""A hub without processes: a tenant, the API's routes under uvicorn, and pumps that run when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import requests
from fastapi import FastAPI
from sqlalchemy import Engine, text

from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.api.app import create_app
from hub.core.clock import SystemClock
from hub.core.settings import load_settings
from hub.integrations.directory import Directory
from hub.integrations.executions.accepting import Doors
from hub.integrations.executions.job import Announce, CallsUnderWay
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.executions.running import make_runner as make_call_runner
from hub.integrations.pipeline.call import Tools
from hub.integrations.pipeline.tools import Limits
from hub.monitoring.checks import CheckSource
from hub.monitoring.checks import make_runner as make_check_runner
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from hub.queue.contracts import TaskName
from hub.queue.pump import Pump, Report
from hub.transforms import Sandbox
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from hub.web.services import Services
from tests.integration.api.conftest import serving
from tests.support.servers import MASTER_KEY

LEASE = 30.0


@dataclass
class Bell:
    """Remembers rings; never wakes anybody."""

    rings: list[tuple[TaskName, list[str]]] = field(default_factory=list)

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> None:
        self.rings.append((task, list(ids)))

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

    url: str
    app: FastAPI
    services: Services
    bell: Bell
    tenant_id: UUID
    key: str
    limits: Limits | None = None
    announce: Announce | None = None
    under_way: CallsUnderWay = field(default_factory=CallsUnderWay)

    @property
    def sandbox(self) -> Sandbox:
        found: Sandbox = self.app.state.sandbox
        return found

    @property
    def doors(self) -> Doors:
        return Doors(Directory(None), Tools(GuardedSession(self.services.policy)))

    @property
    def engine(self) -> Engine:
        return self.services.engine

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        return requests.request(method, f"{self.url}/v1{path}", headers=headers, timeout=30, **options)

    def create(self, base_url: str, **fields: Any) -> dict[str, Any]:
        """Create an integration with an operation of each sort."""
        body = {
            "name": "provider",
            "base_url": base_url,
            "operations": {
                "get_user": {"path": "/users/{id}"},
                "make_user": {"method": "POST", "path": "/users"},
            },
            **fields,
        }
        answer = self.call("POST", "/integrations", json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def execute(self, integration: str, operation: str = "get_user", **given: Any) -> str:
        body = {"operation": operation, "input": given or {"path": {"id": 7}}}
        answer = self.call("POST", f"/integrations/{integration}/execute", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def read(self, execution: str) -> dict[str, Any]:
        answer = self.call("GET", f"/executions/{execution}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def other_key(self, *scopes: Scope, tenant: str | None = None) -> str:
        """A key of this tenant, or of a new one."""
        with self.engine.begin() as conn:
            tenant_id = self.tenant_id if tenant is None else open_tenant(conn, tenant).id
            return issue_key(conn, tenant_id, "other", scopes or [Scope.ADMIN])[1].reveal()

    def sql(self, statement: str, **values: Any) -> Sequence[Any]:
        with self.engine.begin() as conn:
            result = conn.execute(text(statement), values)
            return result.all() if result.returns_rows else ()

    def everything_due(self) -> None:
        """Let the time until the next attempts pass."""
        self.sql("UPDATE hub.execution SET due_at = now() WHERE state = 'due'")

    def source(self, owner: str = "worker") -> ExecutionSource:
        return ExecutionSource(
            self.engine,
            Directory(self.services.vault),
            clock=SystemClock(),
            rng=Random(1),
            owner=owner,
            lease=LEASE,
            announce=self.announce,
        )

    def run_executions(
        self, *, stopping: Callable[[], bool] = lambda: False, capacity: int = 16, grace: float = 0.0
    ) -> Report:
        """Run one execution pump until nothing is due."""
        session = GuardedSession(self.services.policy)
        runner = make_call_runner(
            Tools(session, self.sandbox, self.limits),
            SystemClock(),
            capacity=capacity,
            lease=LEASE,
            under_way=self.under_way,
        )
        pump = Pump(
            TaskName.EXECUTIONS_RUN, self.source(), runner, self.bell, capacity=capacity, slice_seconds=20,  # type: ignore[arg-type]
            linger=0.0, grace=grace, stopping=stopping,
        )  # fmt: skip
        try:
            return pump.run()
        finally:
            session.close()

    def run_checks(self, *, capacity: int = 32) -> Report:
        """Run one check pump until nothing is due."""
        session = GuardedSession(self.services.policy)
        runner = make_check_runner(
            Tools(session, self.sandbox), SystemClock(), capacity=capacity, lease=LEASE
        )
        source = CheckSource(
            self.engine, Directory(self.services.vault), clock=SystemClock(), owner="worker", lease=LEASE
        )
        pump = Pump(
            TaskName.CHECKS_RUN, source, runner, self.bell, capacity=capacity, slice_seconds=20, linger=0.0,  # type: ignore[arg-type]
            grace=0.0, stopping=lambda: False,
        )  # fmt: skip
        try:
            return pump.run()
        finally:
            session.close()


@contextmanager
def running_world(engine: Engine, database_url: str) -> Iterator[World]:
    """Serve the application with one tenant in it."""
    settings = load_settings(
        {
            "HUB_DATABASE_URL": database_url,
            "HUB_MASTER_KEYS": MASTER_KEY,
            "HUB_API_PORT": "0",
            "HUB_EGRESS_ALLOW": "127.0.0.0/8",
            "HUB_EGRESS_PORTS": "0",
        }
    )
    with engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "admin", [Scope.ADMIN])
    bell = Bell()
    services = Services(
        settings=settings,
        engine=engine,
        authenticator=Authenticator(engine),
        vault=Vault(KeyRing.from_settings(settings)),
        policy=AddressPolicy.from_settings(settings),
        ring=bell.ring,
    )
    app = create_app(services)
    with serving(app, settings) as url:
        yield World(url, app, services, bell, tenant.id, token.reveal())


class Pumping:
    """Runs pumps again and again beside a test, as a worker would."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._world.run_executions()
            self._stop.wait(0.02)
