from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from hub.access.scopes import Scope
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

CANARY = "canary-7d1f20c4-secret-value"

SECRET_MODES = [
    {"mode": "bearer", "token": CANARY},
    {"mode": "basic", "username": "kim", "password": CANARY},
    {"mode": "api_key", "in": "header", "name": "X-Key", "key": CANARY},
    {"mode": "api_key", "in": "query", "name": "key", "key": CANARY},
    {"mode": "api_key", "in": "cookie", "name": "session", "key": CANARY},
]


def stored_text(world: World) -> str:
    """Every row of every table that integrations write, as text."""
    tables = ("integration", "execution", "attempt", "secret", "idempotency_key", "integration_metric")
    return "\n".join(
        str(row[0]) for table in tables for row in world.sql(f"SELECT to_jsonb(t)::text FROM hub.{table} t")
    )


@pytest.mark.parametrize("auth", SECRET_MODES, ids=lambda auth: f"{auth['mode']}-{auth.get('in', '')}")
def test_a_secret_reaches_the_provider_and_nobody_else(
    world: World, provider: Provider, auth: dict[str, str]
) -> None:
    provider.default = lambda call: _echo(call.headers, call.query)
    made = world.create(provider.url, auth=auth)
    shown = made["auth"]
    name = {"bearer": "token", "basic": "password", "api_key": "key"}[auth["mode"]]
    assert shown[name]["last4"] == CANARY[-4:]
    assert len(shown[name]["fingerprint"]) == 12

    execution = world.execute(made["id"])
    world.run_executions()
    detail = world.read(execution)
    assert detail["state"] == "done"
    tested = world.call("POST", f"/integrations/{made['id']}/test", json={})
    assert tested.json()["ok"] is True

    reads = [
        json.dumps(made),
        world.call("GET", f"/integrations/{made['id']}").text,
        world.call("GET", "/integrations").text,
        json.dumps(detail),
        world.call("GET", "/executions").text,
        tested.text,
        stored_text(world),
    ]
    assert not [text for text in reads if CANARY in text]
    sent = json.dumps([provider.calls[0].headers, provider.calls[0].query])
    if auth["mode"] == "basic":
        assert "Basic a2ltOmNhbmFyeS03ZDFmMjBjNC1zZWNyZXQtdmFsdWU=" in sent
        assert "a2ltOmNhbmFyeS03ZDFmMjBjNC1zZWNyZXQtdmFsdWU=" not in "".join(reads)
    else:
        assert CANARY in sent


def _echo(headers: dict[str, str], query: dict[str, list[str]]) -> Answer:
    body = json.dumps({"headers": headers, "query": query}).encode()
    return Answer(200, body, {"Content-Type": "application/json", "X-Echo": json.dumps(headers)[:2000]})


def test_every_fault_of_a_definition_is_named_at_once(world: World) -> None:
    answer = world.call(
        "POST",
        "/integrations",
        json={
            "name": "",
            "base_url": "http://10.0.0.1/api",
            "colour": "blue",
            "auth": {"mode": "bearer"},
            "headers": {"Host": "evil", "Authorization": "Bearer x"},
            "timeout_seconds": 3600,
            "retry_policy": {"max_retries": -1},
            "operations": {
                "request": {"path": "/x"},
                "up": {"path": "/a/../b"},
                "odd": {"path": "no-slash", "method": "FETCH"},
            },
            "health_check": {"path": "/{id}"},
        },
    )
    assert answer.status_code == 422
    paths = {error["path"] for error in answer.json()["errors"]}
    assert paths == {
        "name",
        "base_url",
        "colour",
        "auth.token",
        "headers.Host",
        "headers.Authorization",
        "timeout_seconds",
        "retry_policy.max_retries",
        "operations.request",
        "operations.up.path",
        "operations.odd.path",
        "operations.odd.method",
        "health_check.path",
    }
    assert not world.sql("SELECT 1 FROM hub.integration")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "http://user:pass@127.0.0.1",
        "http://169.254.169.254/latest",
        "http://[::1]:80",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#x",
        "//127.0.0.1",
        "http://0x0a000001/",
    ],
)
def test_a_refused_address_is_a_field_error(world: World, url: str) -> None:
    answer = world.call("POST", "/integrations", json={"name": "x", "base_url": url})
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["base_url"]


def test_a_change_keeps_what_it_leaves_out_and_raises_the_version(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": CANARY}, tags=["a"])
    answer = world.call("PATCH", f"/integrations/{made['id']}", json={"description": "new"})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed["version"] == 2
    assert answer.headers["etag"] == '"2"'
    kept = {key: value for key, value in made.items() if key not in {"description", "version", "updated_at"}}
    assert {key: changed[key] for key in kept} == kept
    assert changed["description"] == "new"


def test_only_the_version_that_is_meant_is_changed(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}"
    assert world.call("PATCH", path, json={"tags": ["a"]}, headers={"If-Match": '"1"'}).status_code == 200
    stale = world.call("PATCH", path, json={"tags": ["b"]}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert "version 2" in stale.json()["detail"]
    assert world.call("DELETE", path, headers={"If-Match": '"1"'}).status_code == 412
    assert world.call("PATCH", path, json={"tags": ["b"]}, headers={"If-Match": 'W/"2"'}).status_code == 422
    bad = world.call("PATCH", path, json={"tags": ["b"]}, headers={"If-Match": "latest"})
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["path"] == "header.If-Match"
    assert world.call("GET", path).json()["tags"] == ["a"]
    assert world.call("DELETE", path, headers={"If-Match": '"1", "2"'}).status_code == 204


def test_a_secret_stays_until_another_one_or_another_mode_comes(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "api_key", "name": "X-A", "key": CANARY})
    path = f"/integrations/{made['id']}"

    renamed = world.call("PATCH", path, json={"auth": {"mode": "api_key", "name": "X-B"}}).json()
    assert renamed["auth"]["key"] == made["auth"]["key"]
    world.call("POST", f"{path}/test", json={})
    assert provider.calls[-1].headers["x-b"] == CANARY

    missing = world.call("PATCH", path, json={"auth": {"mode": "bearer"}})
    assert missing.status_code == 422
    assert [error["path"] for error in missing.json()["errors"]] == ["auth.token"]

    moved = world.call(
        "PATCH", path, json={"auth": {"mode": "bearer", "token": "another-secret-token"}}
    ).json()
    assert moved["auth"]["token"]["last4"] == "oken"
    world.call("POST", f"{path}/test", json={})
    assert provider.calls[-1].headers["authorization"] == "Bearer another-secret-token"
    assert "x-b" not in provider.calls[-1].headers
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 1

    world.call("PATCH", path, json={"auth": {"mode": "none"}})
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 0


@pytest.mark.parametrize("auth", SECRET_MODES[:3], ids=lambda auth: auth["mode"])
def test_a_stored_secret_does_not_follow_the_address_to_another_origin(
    world: World, provider: Provider, auth: dict[str, str]
) -> None:
    made = world.create(provider.url, auth=auth)
    path = f"/integrations/{made['id']}"
    secret = {"bearer": "token", "basic": "password", "api_key": "key"}[auth["mode"]]
    without = {name: value for name, value in auth.items() if name != secret}
    port = provider.url.rpartition(":")[2]
    for elsewhere in (f"http://127.0.0.2:{port}", f"https://127.0.0.1:{port}", "http://127.0.0.1:9/v2"):
        for body, field in (
            ({"base_url": elsewhere}, "base_url"),
            ({"base_url": elsewhere, "auth": without}, f"auth.{secret}"),
        ):
            answer = world.call("PATCH", path, json=body)
            assert answer.status_code == 422
            assert [error["path"] for error in answer.json()["errors"]] == [field]
            assert "does not follow `base_url` to another scheme, host or port" in answer.json()["detail"]
            assert CANARY not in answer.text
    assert world.call("GET", path).json() == made


def test_an_address_changes_with_its_secrets_or_within_its_origin(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": CANARY})
    path = f"/integrations/{made['id']}"
    within = world.call("PATCH", path, json={"base_url": provider.url + "/v3"})
    assert (within.status_code, within.json()["auth"]) == (200, made["auth"])
    for auth in ({"mode": "bearer", "token": "another-secret-token"}, {"mode": "none"}):
        moved = world.call("PATCH", path, json={"base_url": "http://127.0.0.1:9", "auth": auth})
        assert (moved.status_code, moved.json()["base_url"]) == (200, "http://127.0.0.1:9")
        assert world.call("PATCH", path, json={"base_url": provider.url, "auth": auth}).status_code == 200
    # Without a secret there is nothing to keep.
    assert world.call("PATCH", path, json={"base_url": "http://127.0.0.1:9"}).status_code == 200


def test_names_are_unique_within_a_tenant(world: World, provider: Provider) -> None:
    world.create(provider.url)
    other = world.create(provider.url, name="other")
    again = world.call("POST", "/integrations", json={"name": "provider", "base_url": provider.url})
    assert again.status_code == 409
    renamed = world.call("PATCH", f"/integrations/{other['id']}", json={"name": "provider"})
    assert renamed.status_code == 409
    foreign = world.call(
        "POST",
        "/integrations",
        key=world.other_key(tenant="globex"),
        json={"name": "provider", "base_url": provider.url},
    )
    assert foreign.status_code == 201


def test_another_tenant_sees_and_touches_nothing(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    stranger = world.other_key(tenant="globex")
    path = f"/integrations/{made['id']}"
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"tags": []}),
        ("DELETE", path, None),
        ("POST", f"{path}/test", {}),
        ("POST", f"{path}/execute", {"operation": "get_user", "input": {"path": {"id": 1}}}),
        ("GET", f"{path}/health", None),
        ("GET", f"/executions/{execution}", None),
        ("POST", f"/executions/{execution}/cancel", None),
    ):
        answer = world.call(method, where, key=stranger, json=body)
        assert answer.status_code == 404, (method, where, answer.text)
    assert world.call("GET", "/integrations", key=stranger).json()["data"] == []
    assert world.call("GET", "/executions", key=stranger).json()["data"] == []
    assert world.read(execution)["state"] == "due"


def test_each_route_wants_its_scope(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    reader = world.other_key(Scope.INTEGRATIONS_READ)
    path = f"/integrations/{made['id']}"
    assert world.call("GET", path, key=reader).status_code == 200
    for method, where in (
        ("POST", "/integrations"),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/test"),
        ("POST", f"{path}/execute"),
        ("GET", "/executions"),
    ):
        body = {"operation": "get_user"} if where.endswith("execute") else {}
        assert world.call(method, where, key=reader, json=body).status_code == 403, where


@pytest.mark.parametrize("bad", ["int_123", "exe_0199", "x", "ten_" + "0" * 32])
def test_a_bad_id_is_a_field_error(world: World, bad: str) -> None:
    answer = world.call("GET", f"/integrations/{bad}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "path.integration_id"


def test_integrations_are_listed_in_pages(world: World, provider: Provider) -> None:
    made = [world.create(provider.url, name=f"n{number}")["id"] for number in range(5)]
    seen: list[str] = []
    query = {"limit": 2}
    while True:
        page = world.call("GET", "/integrations", params=query).json()
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    world.call("PATCH", f"/integrations/{made[0]}", json={"status": "maintenance"})
    only = world.call("GET", "/integrations", params={"status": "maintenance"}).json()["data"]
    assert [one["id"] for one in only] == [made[0]]


def test_deleting_takes_the_secrets_along_and_leaves_the_history(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": CANARY})
    done, waiting = world.execute(made["id"]), None
    world.run_executions()
    waiting = world.execute(made["id"])
    assert world.call("DELETE", f"/integrations/{made['id']}").status_code == 204
    assert world.call("GET", f"/integrations/{made['id']}").status_code == 404
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 0
    world.run_executions()
    assert world.read(done)["state"] == "done"
    failed = world.read(waiting)
    assert (failed["state"], failed["reason"]) == ("failed", "integration_deleted")
    assert failed["error"]["type"] == "integration_deleted"


def test_a_delete_that_may_have_to_revoke_takes_one_of_the_tenants_places_for_slow_requests(
    world: World, provider: Provider
) -> None:
    auth = {
        "mode": "oauth2",
        "grant": "client_credentials",
        "token_url": f"{provider.url}/token",
        "revocation_url": f"{provider.url}/revoke",
        "client_id": "me",
        "client_secret": "client-secret-0123456789",
    }
    told, untold = world.create(provider.url, auth=auth), world.create(provider.url, name="untold")
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(world.services.slow.place(world.tenant_id))
        assert world.call("DELETE", f"/integrations/{told['id']}").status_code == 503
        assert world.call("GET", f"/integrations/{told['id']}").status_code == 200, "nothing was done"
        assert world.call("DELETE", f"/integrations/{untold['id']}").status_code == 204
    assert world.call("DELETE", f"/integrations/{told['id']}").status_code == 204


def test_every_change_raises_the_tenants_version(world: World, provider: Provider) -> None:
    def version() -> int:
        return int(
            world.sql("SELECT config_version FROM hub.tenant WHERE id = :id", id=world.tenant_id)[0][0]
        )

    first = version()
    made = world.create(provider.url)
    world.call("PATCH", f"/integrations/{made['id']}", json={"tags": ["a"]})
    world.call("DELETE", f"/integrations/{made['id']}")
    assert version() == first + 3
