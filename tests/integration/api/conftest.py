"""The whole application on real servers: `serve` starts it under uvicorn, `hub` is a running one with a tenant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import requests
from fastapi import FastAPI
from sqlalchemy import Engine

from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.access.store import Tenant
from hub.api.__main__ import make_server
from hub.api.app import create_app
from hub.core.settings import Settings, load_settings
from hub.net.policy import AddressPolicy
from hub.queue.contracts import TaskName
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from hub.web.services import Services
from tests.support.servers import MASTER_KEY

_PATIENCE_SECONDS = 10


@dataclass
class Bell:
    """Remembers who was rung for."""

    rings: list[TaskName] = field(default_factory=list)

    def ring(self, task: TaskName, ids: Any = ()) -> None:
        self.rings.append(task)


@dataclass
class RunningHub:
    """An application that serves, a tenant in it, and a client with an admin key."""

    url: str
    app: FastAPI
    services: Services
    bell: Bell
    tenant: Tenant
    admin_key: str

    def call(self, method: str, path: str, *, key: str | None = "", **options: Any) -> requests.Response:
        """Send a request; `key=None` sends none, no key given sends the admin key."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.admin_key}"
        return requests.request(
            method, self.url + path, headers=headers, timeout=_PATIENCE_SECONDS, **options
        )

    def key(
        self, *scopes: Scope, tenant: Tenant | None = None, expires_at: datetime | None = None
    ) -> tuple[str, str]:
        """Make a key: its text and its hexadecimal id."""
        with self.services.engine.begin() as conn:
            row, token = issue_key(
                conn, (tenant or self.tenant).id, "test", scopes or [Scope.ADMIN], expires_at=expires_at
            )
        return token.reveal(), row.id.hex

    def new_tenant(self, name: str) -> Tenant:
        with self.services.engine.begin() as conn:
            return open_tenant(conn, name)


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until something holds, with a deadline."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {_PATIENCE_SECONDS} s for {what}"
        time.sleep(0.01)


@contextmanager
def serving(app: FastAPI, settings: Settings) -> Iterator[str]:
    """Serve an application on a free port of loopback."""
    server = make_server(app, settings)
    thread = threading.Thread(target=server.run, name="uvicorn", daemon=True)
    thread.start()
    wait_for(lambda: server.started or not thread.is_alive(), "the server to start")
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return load_settings(
        {
            "HUB_DATABASE_URL": database_url,
            "HUB_REDIS_URL": redis_url,
            "HUB_MASTER_KEYS": MASTER_KEY,
            "HUB_API_PORT": "0",
            "HUB_API_MAX_BODY_BYTES": "20000",
            "HUB_API_MAX_JSON_DEPTH": "16",
        }
    )


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def services(settings: Settings, engine: Engine, bell: Bell) -> Services:
    return Services(
        settings=settings,
        engine=engine,
        authenticator=Authenticator(engine),
        vault=Vault(KeyRing.from_settings(settings)),
        policy=AddressPolicy.from_settings(settings),
        ring=bell.ring,
    )


@pytest.fixture
def hub(services: Services, bell: Bell) -> Iterator[RunningHub]:
    with services.engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "admin", [Scope.ADMIN])
    app = create_app(services)
    with serving(app, services.settings) as url:
        yield RunningHub(url, app, services, bell, tenant, token.reveal())
