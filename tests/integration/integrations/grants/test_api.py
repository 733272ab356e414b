"""The routes of grants: for a tenant's keys, and for the browser that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI, Request, Response
from sqlalchemy import Engine, text

from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.core.errors import HubError
from hub.core.ids import Kind, format_id
from hub.core.settings import load_settings
from hub.integrations.grants import api
from hub.integrations.grants.holder import Holder
from hub.net.policy import AddressPolicy
from hub.web.problems import response_of
from hub.web.queries import KNOWN_QUERY
from hub.web.services import Services
from hub.web.slow import SlowRequests
from tests.integration.api.conftest import serving
from tests.integration.integrations.grants.world import World
from tests.support.oidc import Browser, Oidc
from tests.support.servers import MASTER_KEY

SECRET = "web-secret-0123456789"


@dataclass
class Api:
    """The routes, served."""

    url: str
    world: World
    key: str
    slow: SlowRequests

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return requests.request(method, f"{self.url}/v1{path}", headers=headers, timeout=20, **options)

    def path(self, holder: Holder, rest: str) -> str:
        return f"/integrations/{format_id(Kind.INTEGRATION, holder.id)}/{rest}"

    def other_key(self, *scopes: Scope) -> str:
        with self.world.engine.begin() as conn:
            return issue_key(conn, self.world.tenant_id, "other", scopes)[1].reveal()


@pytest.fixture
def hub(world: World, engine: Engine, database_url: str) -> Iterator[Api]:
    settings = load_settings(
        {"HUB_DATABASE_URL": database_url, "HUB_MASTER_KEYS": MASTER_KEY, "HUB_API_PORT": "0"}
    )
    policy = AddressPolicy(allow=["127.0.0.0/8"], ports=[0])
    app = FastAPI()
    services = Services(
        settings, engine, Authenticator(engine), world.vault, policy, lambda *_args, **_options: None
    )
    app.state.services = services
    app.state.grants = world.grants("api")
    app.include_router(api.router, prefix="/v1", dependencies=[KNOWN_QUERY])
    app.include_router(api.public)

    def answer(_request: Request, error: Exception) -> Response:
        return response_of(error, "req_test")

    app.add_exception_handler(HubError, answer)
    with engine.begin() as conn:
        key = issue_key(conn, world.tenant_id, "admin", [Scope.ADMIN])[1].reveal()
    with serving(app, settings) as url:
        yield Api(url, world, key, services.slow)


def connect(hub: Api, oidc: Oidc, **body: Any) -> tuple[Holder, requests.Response]:
    """Connect an integration; the page that the browser ends on."""
    holder = hub.world.holder(oidc.settings(), client_secret=SECRET)
    started = hub.call("POST", hub.path(holder, "authorize"), json=body)
    assert started.status_code == 200, started.text
    back = Browser(f"{hub.url}/oauth/callback").walk(started.json()["url"])
    return holder, requests.get(back, timeout=20)


def test_a_browser_connects_an_integration_and_it_is_seen(hub: Api, oidc: Oidc) -> None:
    holder, page = connect(hub, oidc, return_url=f"{hub.url}/settings?a=1&b=2")
    assert page.status_code == 200
    assert f"<strong>{holder.id.hex}</strong> is connected" in page.text
    assert f'href="{hub.url}/settings?a=1&amp;b=2"' in page.text
    shown = hub.call("GET", hub.path(holder, "grant")).json()
    assert (shown["state"], shown["renewable"], shown["version"]) == ("active", True, 1)
    assert set(shown["scopes"]) == {"openid", "offline_access"}
    assert shown["expires_at"] is not None
    row = hub.world.row(holder)
    for secret_id in (row.access_secret_id, row.refresh_secret_id):
        assert hub.world.stored(secret_id) not in str(shown)


def test_the_page_stands_alone(hub: Api, oidc: Oidc) -> None:
    _, page = connect(hub, oidc)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_what_the_provider_says_is_escaped(hub: Api, oidc: Oidc) -> None:
    holder = hub.world.holder(oidc.settings(), client_secret=SECRET)
    started = hub.call("POST", hub.path(holder, "authorize")).json()
    state = dict(pair.split("=") for pair in urlsplit(started["url"]).query.split("&"))["state"]
    evil = {"state": state, "error": "server_error", "error_description": "<script>alert(1)</script>"}
    page = requests.get(f"{hub.url}/oauth/callback", params=evil, timeout=10)
    assert page.status_code == 400
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?state=x&code=y", "?state=a&state=b&code=y", "?state=%ED%A0%80", "?error=%00x"]
)
def test_a_stranger_at_the_callback_gets_a_page_and_nothing_else(hub: Api, query: str) -> None:
    page = requests.get(f"{hub.url}/oauth/callback{query}", timeout=10)
    assert page.status_code == 400
    assert "used already, or it is too old" in page.text


def test_a_foreign_return_url_is_refused(hub: Api, oidc: Oidc) -> None:
    holder = hub.world.holder(oidc.settings(), client_secret=SECRET)
    answer = hub.call("POST", hub.path(holder, "authorize"), json={"return_url": "https://evil.example/"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "return_url"


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("POST", "authorize"),
        ("POST", "authorize/poll"),
        ("GET", "grant"),
        ("POST", "grant/refresh"),
        ("DELETE", "grant"),
    ],
)
def test_another_tenant_finds_nothing(hub: Api, oidc: Oidc, method: str, rest: str) -> None:
    holder, _ = connect(hub, oidc)
    with hub.world.engine.begin() as conn:
        other = open_tenant(conn, "other").id
        key = issue_key(conn, other, "other", [Scope.ADMIN])[1].reveal()
    assert hub.call(method, hub.path(holder, rest), key=key).status_code == 404
    assert hub.world.row(holder).state == "active"


def test_reading_is_not_writing(hub: Api, oidc: Oidc) -> None:
    holder = hub.world.holder(oidc.settings(), client_secret=SECRET)
    reader = hub.other_key(Scope.INTEGRATIONS_READ)
    assert hub.call("GET", hub.path(holder, "grant"), key=reader).json()["state"] == "none"
    for method, rest in (("POST", "authorize"), ("POST", "grant/refresh"), ("DELETE", "grant")):
        assert hub.call(method, hub.path(holder, rest), key=reader).status_code == 403


def test_a_token_is_renewed_when_a_person_asks(hub: Api, oidc: Oidc) -> None:
    holder, _ = connect(hub, oidc)
    answer = hub.call("POST", hub.path(holder, "grant/refresh"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 2
    oidc.fail(503)
    failed = hub.call("POST", hub.path(holder, "grant/refresh"))
    assert failed.status_code == 503
    assert "503" in failed.json()["detail"]
    assert hub.call("GET", hub.path(holder, "grant")).json()["state"] == "active"


def test_disconnecting_revokes(hub: Api, oidc: Oidc) -> None:
    holder, _ = connect(hub, oidc)
    token = hub.world.stored(hub.world.row(holder).access_secret_id)
    assert hub.call("DELETE", hub.path(holder, "grant")).json() == {"revoked": True, "detail": None}
    assert not oidc.lives(token)
    assert hub.call("GET", hub.path(holder, "grant")).json()["state"] == "none"
    again = hub.call("DELETE", hub.path(holder, "grant")).json()
    assert again["revoked"] is False
    assert hub.call("POST", hub.path(holder, "grant/refresh")).status_code == 409


def test_giving_back_takes_one_of_the_tenants_places_for_slow_requests(hub: Api, oidc: Oidc) -> None:
    holder, _ = connect(hub, oidc)
    untold = hub.world.holder(oidc.settings(revocation_url=None), client_secret=SECRET)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(hub.slow.place(hub.world.tenant_id))
        assert hub.call("DELETE", hub.path(holder, "grant")).status_code == 503
        assert hub.world.row(holder).state == "active", "nothing was done"
        assert hub.call("DELETE", hub.path(untold, "grant")).status_code == 200, "nobody is waited for"
    assert hub.call("DELETE", hub.path(holder, "grant")).json() == {"revoked": True, "detail": None}


def test_an_integration_whose_mode_obtains_nothing_has_no_grant(hub: Api) -> None:
    holder = hub.world.holder({"mode": "oauth2", "grant": "client_credentials", "token_url": "http://x/"})
    with hub.world.engine.begin() as conn:
        conn.execute(text("""UPDATE hub.integration SET auth = '{"mode": "none"}'"""))
    answer = hub.call("GET", hub.path(holder, "grant"))
    assert answer.status_code == 409
    assert "needs no grant" in answer.json()["detail"]


def test_who_connected_renewed_and_disconnected_is_in_the_audit_log(hub: Api, oidc: Oidc) -> None:
    holder, _ = connect(hub, oidc)
    assert hub.call("POST", hub.path(holder, "grant/refresh")).status_code == 200
    oidc.fail(503)
    assert hub.call("POST", hub.path(holder, "grant/refresh")).status_code == 503
    hub.call("DELETE", hub.path(holder, "grant"))
    with hub.world.engine.connect() as conn:
        found = conn.execute(text("SELECT * FROM hub.audit_entry ORDER BY id")).all()
    assert [(row.action, row.details.get("ok")) for row in found] == [
        ("integration.connected", None),
        ("integration.token_refreshed", True),
        ("integration.token_refreshed", False),
        ("integration.disconnected", None),
    ]
    assert all(row.actor is not None for row in found)
    assert {row.subject for row in found} == {format_id(Kind.INTEGRATION, holder.id)}
