"""Versions of a definition: kept, compared, brought back; and what keeps two people from undoing each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.core.ids import Kind, parse_id
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.integrations.world import World

CANARY = "canary-5a0c1d2e-secret-value"
OTHER = "canary-b7e3f9a1-other-value"


def patch(world: World, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = world.call("PATCH", f"/integrations/{made['id']}", json=changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {error["path"]: error["message"] for error in answer.json()["errors"]}


def test_every_version_is_kept_compared_and_can_be_had_back(world: World, provider: Provider) -> None:
    made = world.create(provider.url, tags=["a"], timeout_seconds=0.1)
    path = f"/integrations/{made['id']}"
    patch(world, made, tags=["a", "b"], operations={"get_user": {"path": "/v2/users/{id}"}})
    patch(world, made, description="third", rate_limit={"limits": [{"limit": 5}]})

    listed = world.call("GET", f"{path}/versions").json()
    assert [one["version"] for one in listed] == [3, 2, 1]
    key = world.call("GET", "/me").json()["key_id"]
    assert {one["changed_by"] for one in listed} == {key}
    assert [one["version"] for one in world.call("GET", f"{path}/versions?before=3&limit=1").json()] == [2]

    document = world.call("GET", f"{path}/versions/1").json()["document"]
    assert (document["tags"], document["timeout_seconds"], document["auth"]) == (["a"], 0.1, {"mode": "none"})
    # It has the form of a request that creates the integration.
    copied = world.call("POST", "/integrations", json={**document, "name": "copy"})
    assert copied.status_code == 201, copied.text
    assert copied.json()["operations"] == made["operations"]

    difference = world.call("GET", f"{path}/versions/1/diff?to=2").json()
    assert (difference["from_version"], difference["to_version"]) == (1, 2)
    changes = {one["path"]: (one["before"], one["after"]) for one in difference["changes"]}
    assert changes == {
        "tags": (["a"], ["a", "b"]),
        "operations.get_user.path": ("/users/{id}", "/v2/users/{id}"),
        "operations.make_user": ({"method": "POST", "path": "/users"}, None),
    }
    now = world.call("GET", f"{path}/versions/2/diff").json()
    assert now["to_version"] == 3
    assert {one["path"] for one in now["changes"]} >= {"description", "rate_limit.limits"}

    back = world.call("POST", f"{path}/versions/1/rollback")
    assert back.status_code == 200, back.text
    assert (back.json()["version"], back.headers["etag"]) == (4, '"4"')
    ignored = {"version", "updated_at"}
    assert {k: v for k, v in back.json().items() if k not in ignored} == {
        k: v for k, v in made.items() if k not in ignored
    }
    assert world.call("GET", f"{path}/versions/1/diff?to=4").json()["changes"] == []
    assert world.call("POST", f"{path}/versions/1/rollback").status_code == 409
    actions = [one["action"] for one in world.call("GET", f"/audit?subject={made['id']}").json()["data"]]
    assert actions == [
        "integration.rolled_back", "integration.changed", "integration.changed", "integration.created",
    ]  # fmt: skip


def test_what_cannot_be_a_version_is_told(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}"
    for wrong in ("2", "999"):
        answer = world.call("GET", f"{path}/versions/{wrong}")
        assert answer.status_code == 404
        assert f"no version {wrong}" in answer.json()["detail"]
    for wrong in ("0", "-1", "x", "99999999999999999999"):
        for method, where in (
            ("GET", f"/versions/{wrong}"),
            ("GET", f"/versions/{wrong}/diff"),
            ("GET", f"/versions/1/diff?to={wrong}"),
            ("GET", f"/versions?before={wrong}"),
            ("POST", f"/versions/{wrong}/rollback"),
        ):
            assert world.call(method, path + where).status_code == 422, where
    stranger = world.other_key(tenant="globex")
    for method, where in (
        ("GET", "/versions"),
        ("GET", "/versions/1"),
        ("GET", "/versions/1/diff"),
        ("POST", "/versions/1/rollback"),
    ):
        assert world.call(method, path + where, key=stranger).status_code == 404


def test_a_rollback_to_another_mode_needs_its_secret_and_takes_it(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": CANARY})
    patch(world, made, auth={"mode": "basic", "username": "kim", "password": OTHER})
    path = f"/integrations/{made['id']}"
    refused = faults(world.call("POST", f"{path}/versions/1/rollback"))
    assert refused == {"auth.token": "is required"}
    assert world.call("GET", path).json()["version"] == 2

    body = {"auth": {"token": "a-third-secret-token"}}
    back = world.call("POST", f"{path}/versions/1/rollback", json=body)
    assert back.status_code == 200, back.text
    assert back.json()["auth"]["token"]["last4"] == "oken"
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 1
    world.call("POST", f"{path}/test", json={})
    assert provider.calls[-1].headers["authorization"] == "Bearer a-third-secret-token"
    # And to the mode without secrets, without any.
    assert faults(world.call("POST", f"{path}/versions/2/rollback", json={"auth": {"token": "x"}}))


def test_a_rollback_does_not_take_a_secret_to_the_old_address(world: World, provider: Provider) -> None:
    made = world.create("http://127.0.0.1:9", auth={"mode": "bearer", "token": CANARY})
    patch(world, made, base_url=provider.url, auth={"mode": "bearer", "token": OTHER})
    path = f"/integrations/{made['id']}"
    told = faults(world.call("POST", f"{path}/versions/1/rollback"))
    assert "does not follow `base_url`" in told["auth.token"]
    back = world.call("POST", f"{path}/versions/1/rollback", json={"auth": {"token": CANARY}})
    assert (back.status_code, back.json()["base_url"]) == (200, "http://127.0.0.1:9")


def test_secrets_that_the_definition_names_survive_changes_and_rollbacks(
    world: World, provider: Provider
) -> None:
    auth = {"mode": "template", "headers": {"X-A": "{{ one }}"}, "secrets": {"one": CANARY}}
    made = world.create(provider.url, auth=auth)
    path = f"/integrations/{made['id']}"
    two = {
        "mode": "template",
        "headers": {"X-A": "{{ one }}:{{ two }}"},
        "secrets": {"one": None, "two": OTHER},
    }
    assert set(patch(world, made, auth=two)["auth"]["secrets"]) == {"one", "two"}
    patch(world, made, tls=None, description="new")
    world.call("POST", f"{path}/test", json={})
    assert provider.calls[-1].headers["x-a"] == f"{CANARY}:{OTHER}"
    back = world.call("POST", f"{path}/versions/1/rollback")
    assert back.status_code == 200, back.text
    assert set(back.json()["auth"]["secrets"]) == {"one"}
    world.call("POST", f"{path}/test", json={})
    assert provider.calls[-1].headers["x-a"] == CANARY
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 1
    # The second one is gone for good: the version that had it needs it again.
    assert faults(world.call("POST", f"{path}/versions/2/rollback")) == {"auth.secrets.two": "is required"}


OAUTH = {
    "mode": "oauth2",
    "grant": "client_credentials",
    "token_url": "http://127.0.0.1:9/token",
    "client_id": "hub",
    "client_secret": CANARY,
}


def test_an_optional_secret_goes_with_a_null_and_a_needed_one_is_asked_for(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url, auth={**OAUTH, "private_key": OTHER})
    path = f"/integrations/{made['id']}"
    without = {name: value for name, value in OAUTH.items() if name != "client_secret"}
    kept = patch(world, made, auth=without)
    assert {"client_secret", "private_key"} <= kept["auth"].keys()
    gone = patch(world, made, auth={**without, "private_key": None})
    assert "private_key" not in gone["auth"]
    assert gone["auth"]["client_secret"]["last4"] == CANARY[-4:]
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 1
    missing = world.call("PATCH", path, json={"auth": {**without, "client_auth": "private_key_jwt"}})
    assert faults(missing) == {"auth.private_key": "is required"}


@pytest.mark.parametrize("field", ["token_url", "revocation_url", "device_url"])
def test_a_secret_does_not_follow_an_address_of_its_mode_elsewhere(
    world: World, provider: Provider, field: str
) -> None:
    made = world.create(provider.url, auth=OAUTH)
    path = f"/integrations/{made['id']}"
    moved = {**OAUTH, field: "http://127.0.0.2:9/steal"}
    without = {name: value for name, value in moved.items() if name != "client_secret"}
    told = faults(world.call("PATCH", path, json={"auth": without}))
    assert f"does not follow `auth.{field}`" in told["auth.client_secret"]
    assert world.call("GET", path).json() == made
    # Within the origin, or with the secret, it may.
    within = {**OAUTH, field: "http://127.0.0.1:9/other"}
    del within["client_secret"]
    assert patch(world, made, auth=within)["auth"][field].endswith("/other")
    assert patch(world, made, auth=moved)["auth"][field].endswith("/steal")


def test_a_password_does_not_follow_a_login_elsewhere(world: World, provider: Provider) -> None:
    auth = {"mode": "login_call", "url": "http://127.0.0.1:9/login", "json": {"p": "{{ password }}"}}
    made = world.create(provider.url, auth={**auth, "password": CANARY})
    path = f"/integrations/{made['id']}"
    for elsewhere in ("http://127.0.0.2:9/login", "/login"):
        told = faults(world.call("PATCH", path, json={"auth": {**auth, "url": elsewhere}}))
        assert "does not follow `auth.url`" in told["auth.password"], elsewhere
    assert patch(world, made, auth={**auth, "url": "http://127.0.0.1:9/sign-in"})


def test_two_people_cannot_undo_each_other(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}"
    patch(world, made, tags=["a"])
    stale = {"If-Match": '"1"'}
    assert world.call("PATCH", path, json={"tags": ["b"]}, headers=stale).status_code == 412
    assert world.call("POST", f"{path}/versions/1/rollback", headers=stale).status_code == 412
    assert world.call("DELETE", path, headers=stale).status_code == 412
    fresh = {"If-Match": '"2"'}
    assert world.call("POST", f"{path}/versions/1/rollback", headers=fresh).status_code == 200


def test_a_change_that_is_wrong_saves_nothing_of_it(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": CANARY})
    path = f"/integrations/{made['id']}"
    before = world.sql("SELECT to_jsonb(s)::text FROM hub.secret s")
    body = {
        "tags": ["new"],
        "auth": {"mode": "bearer", "token": OTHER},
        "operations": {"ok": {"path": "/a"}, "bad": {"path": "b"}},
    }
    answer = world.call("PATCH", path, json=body)
    assert set(faults(answer)) == {"operations.bad.path"}
    assert world.call("GET", path).json() == made
    assert world.sql("SELECT to_jsonb(s)::text FROM hub.secret s") == before
    assert len(world.call("GET", f"{path}/versions").json()) == 1
    taken = world.create(provider.url, name="taken")
    renamed = world.call("PATCH", path, json={"name": "taken", "auth": {"mode": "bearer", "token": OTHER}})
    assert renamed.status_code == 409
    assert world.sql("SELECT to_jsonb(s)::text FROM hub.secret s") == before
    assert taken["version"] == 1


def test_credentials_never_come_back(world: World, provider: Provider) -> None:
    """A sweep over every route that takes an integration or an execution."""
    provider.default = _echo
    made = world.create(
        provider.url,
        auth={"mode": "template", "headers": {"X-A": "{{ one }}"}, "secrets": {"one": CANARY}},
        headers={"X-App": "hub"},
    )
    path = f"/integrations/{made['id']}"
    texts = [json.dumps(made)]

    def see(method: str, where: str, **options: Any) -> Any:
        answer = world.call(method, where, **options)
        texts.append(answer.text + str(answer.headers))
        return answer

    execution = world.execute(made["id"])
    world.run_executions()
    given = {"operation": "get_user", "input": {"path": {"id": 7}}}
    bad_auth = {"mode": "template", "headers": {"X-A": "{{ two }}"}, "secrets": {"one": OTHER}}
    for body in (
        {"auth": bad_auth},
        {"auth": {"mode": "bearer", "token": OTHER, "colour": OTHER}},
        {"auth": {"mode": "bearer", "token": [OTHER]}},
        {"auth": {"mode": "bearer", "token": OTHER + "\n"}},
        {"auth": {"mode": "none"}, "tls": {"key": OTHER}},
        {"headers": {"Authorization": OTHER}},
        {"base_url": f"http://kim:{OTHER}@127.0.0.1"},
    ):
        assert see("PATCH", path, json=body).status_code == 422
        assert (
            see("POST", "/integrations", json={"name": "y", "base_url": provider.url, **body}).status_code
            == 422
        )
        document = {"name": "provider", "base_url": provider.url, **body}
        assert see("POST", "/integrations/apply", json={"integrations": [document]}).status_code == 422
    see("PATCH", path, json={"auth": {"mode": "bearer", "token": OTHER}})
    see("POST", f"{path}/versions/1/rollback")
    see("POST", f"{path}/versions/1/rollback", json={"auth": {"secrets": {"one": CANARY}}})
    for method, where in (
        ("GET", path),
        ("GET", "/integrations"),
        ("GET", f"{path}/versions"),
        ("GET", f"{path}/versions/1"),
        ("GET", f"{path}/versions/2"),
        ("GET", f"{path}/versions/1/diff?to=2"),
        ("GET", f"{path}/usage"),
        ("GET", f"{path}/health"),
        ("GET", f"/executions/{execution}"),
        ("GET", "/executions"),
        ("GET", "/audit"),
        ("GET", "/integration-kinds"),
    ):
        assert see(method, where).status_code == 200, where
    assert see("POST", f"{path}/test", json=given).json()["ok"] is True
    dry = see("POST", f"{path}/dry-run", json=given)
    assert dry.status_code == 200
    assert "curl" in dry.text
    document = {"name": "provider", "base_url": provider.url, "auth": {"mode": "bearer", "token": OTHER}}
    see("POST", "/integrations/apply?dry_run=true", json={"integrations": [document]})
    see("POST", "/integrations/apply", json={"integrations": [document]})
    assert CANARY in json.dumps(provider.calls[0].headers)
    assert not [text for text in texts if CANARY in text or OTHER in text]
    tables = (
        "integration",
        "integration_version",
        "execution",
        "attempt",
        "secret",
        "audit_entry",
        "idempotency_key",
    )
    stored = [
        str(row[0]) for one in tables for row in world.sql(f"SELECT to_jsonb(t)::text FROM hub.{one} t")
    ]
    assert not [text for text in stored if CANARY in text or OTHER in text]


def _echo(call: Call) -> Answer:
    return Answer(200, json.dumps({"headers": call.headers}).encode())


def test_versions_go_with_their_integration(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    row = world.sql(
        "SELECT version, tenant_id FROM hub.integration_version WHERE integration_id = :id",
        id=parse_id(Kind.INTEGRATION, made["id"]),
    )
    assert [tuple(one) for one in row] == [(1, world.tenant_id)]
    world.call("DELETE", f"/integrations/{made['id']}")
    assert not world.sql("SELECT 1 FROM hub.integration_version")
