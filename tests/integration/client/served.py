"""Fixtures of the client and command tests: an API that serves, with a tenant and a key in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine

from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.api.app import create_app
from hub.client import HttpClient
from hub.core.ids import Kind, format_id
from hub.core.settings import get_settings
from hub.net.policy import AddressPolicy
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from hub.web.services import Services
from tests.integration.api.conftest import Bell, serving


@dataclass
class Served:
    """A running API."""

    url: str
    key: str
    tenant: str
    client: HttpClient

    def new_integration(self) -> str:
        return self.client.create_integration(
            name="crm",
            base_url="http://127.0.0.1:9",
            operations={"get_user": {"method": "GET", "path": "/users/{id}"}},
        )["id"]


@pytest.fixture
def served(hub_environment: None, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("HUB_API_PORT", "0")
    get_settings.cache_clear()
    settings = get_settings()
    vault = Vault(KeyRing.from_settings(settings))
    with engine.begin() as conn:
        vault.check(conn)
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "test", [Scope.ADMIN])
    services = Services(
        settings=settings,
        engine=engine,
        authenticator=Authenticator(engine),
        vault=vault,
        policy=AddressPolicy.from_settings(settings),
        ring=Bell().ring,
    )
    with serving(create_app(services), settings) as url, HttpClient(url, token.reveal()) as client:
        yield Served(url, token.reveal(), format_id(Kind.TENANT, tenant.id), client)
