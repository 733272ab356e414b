"""The endpoint routes on real servers, with two tenants, a receiver and a pump that runs when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import requests
from sqlalchemy import Engine

from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.api.app import create_app
from hub.core.ids import Kind, parse_id
from hub.web.services import Services
from tests.integration.api.conftest import Bell, serving
from tests.integration.webhooks.world import World, running_world


@dataclass
class Api:
    """A running API as one caller sees it."""

    url: str
    key: str
    world: World
    bell: Bell
    strangers_key: str
    readers_key: str
    names: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        return requests.request(method, f"{self.url}/v1{path}", headers=headers, timeout=30, **options)

    def make(self, url: str = "http://127.0.0.1:9/hook", **fields: Any) -> dict[str, Any]:
        """An endpoint, made over HTTP."""
        answer = self.call("POST", "/endpoints", json={"name": f"e{next(self.names)}", "url": url, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def get(self, path: str) -> dict[str, Any]:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.call("POST", path, json=body) if body is not None else self.call("POST", path)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refused(self, method: str, path: str, body: Any, status: int = 422) -> set[str]:
        """The fields at fault of a request that has to be refused."""
        answer = self.call(method, path, json=body)
        assert answer.status_code == status, answer.text
        return {fault["path"] for fault in answer.json()["errors"]}


def row_id(endpoint: dict[str, Any]) -> UUID:
    return parse_id(Kind.ENDPOINT, endpoint["id"])


@pytest.fixture
def api(engine: Engine, database_url: str) -> Iterator[Api]:
    with running_world(engine, database_url) as world:
        with engine.begin() as conn:
            world.vault.check(conn)
            _, key = issue_key(conn, world.tenant_id, "admin", [Scope.ADMIN])
            _, reader = issue_key(conn, world.tenant_id, "reader", [Scope("endpoints:read")])
            _, stranger = issue_key(conn, open_tenant(conn, "globex").id, "admin", [Scope.ADMIN])
        bell = Bell()
        services = Services(
            settings=world.settings.model_copy(update={"api_port": 0}),
            engine=engine,
            authenticator=Authenticator(engine),
            vault=world.vault,
            policy=world.policy,
            ring=bell.ring,
        )
        with serving(create_app(services), services.settings) as url:
            yield Api(url, key.reveal(), world, bell, stranger.reveal(), reader.reveal())
