"""What an integration can be made of: types, protocols, statuses, and what is said when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from hub.integrations.registry.kinds import PROTOCOLS, SPOKEN, TYPES
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

#: What each pair needs to be whole; `custom` is another package's.
ADDRESSES: dict[str, str] = {
    "rest": "http://127.0.0.1:8080",
    "graphql": "http://127.0.0.1:8080/graphql",
    "websocket": "ws://127.0.0.1:8080",
    "grpc": "grpc://127.0.0.1:50051",
    "soap": "http://127.0.0.1:8080/soap",
    "database": "postgresql://127.0.0.1:5432/shop",
    "file_transfer": "sftp://127.0.0.1/outbox",
    "ai_service": "http://127.0.0.1:8080/v1",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "grpc": {"reflection": True},
    "soap": {"wsdl": "http://127.0.0.1:8080/soap?wsdl"},
    "file_transfer": {"host_key": "SHA256:" + "A" * 43},
    "ai_service": {"dialect": "openai_chat"},
}
OAUTH = {
    "mode": "oauth2",
    "grant": "client_credentials",
    "token_url": "http://127.0.0.1:8081/token",
    "client_id": "hub",
    "client_secret": "a-client-secret",
}


def refused(world: World, **fields: Any) -> dict[str, str]:
    """The faults of a definition by path; nothing is stored."""
    body = {"name": "x", "base_url": "http://127.0.0.1:8080", **fields}
    answer = world.call("POST", "/integrations", json=body)
    assert answer.status_code == 422, answer.text
    assert not world.sql("SELECT 1 FROM hub.integration")
    return {error["path"]: error["message"] for error in answer.json()["errors"]}


def test_every_type_takes_its_protocols_and_refuses_the_others_by_name(world: World) -> None:
    for type_ in TYPES:
        for protocol in PROTOCOLS:
            if protocol in SPOKEN[type_]:
                continue
            faults = refused(world, type=type_, protocol=protocol)
            spoken = ", ".join(SPOKEN[type_])
            assert faults == {"protocol": f"an integration of type {type_} speaks {spoken}"}


def test_a_type_alone_means_its_first_protocol(world: World) -> None:
    for type_ in TYPES:
        own = type_ if type_ in ADDRESSES else "rest"
        body: dict[str, Any] = {"name": type_, "type": type_, "base_url": ADDRESSES.get(own)}
        if type_ == "messaging":
            continue  # its transport has a test of its own
        body["settings"] = SETTINGS.get(own, {})
        if type_ == "oauth":
            body["auth"] = OAUTH
        answer = world.call("POST", "/integrations", json=body)
        if type_ in {"file_transfer", "ai_service", "database"} and answer.status_code == 422:
            # Its form wants more; what counts here is that type and protocol are fine.
            assert not {"type", "protocol"} & {one["path"] for one in answer.json()["errors"]}, answer.text
            continue
        assert answer.status_code == 201, answer.text
        assert (answer.json()["type"], answer.json()["protocol"]) == (type_, SPOKEN[type_][0])


def test_every_protocol_of_an_api_is_taken_with_its_own_scheme_and_refused_with_another(world: World) -> None:
    for protocol in ("rest", "graphql", "websocket", "grpc", "soap"):
        settings = SETTINGS.get(protocol, {})
        faults = refused(world, protocol=protocol, base_url="ftp://127.0.0.1/x", settings=settings)
        assert set(faults) == {"base_url"}, protocol
        assert "must start with" in faults["base_url"]
    for protocol in ("rest", "graphql", "websocket", "grpc", "soap"):
        body = {
            "name": protocol,
            "protocol": protocol,
            "base_url": ADDRESSES[protocol],
            "settings": SETTINGS.get(protocol, {}),
        }
        answer = world.call("POST", "/integrations", json=body)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["type"], answer.json()["protocol"]) == ("api", protocol)


def test_a_custom_transport_must_be_installed(world: World) -> None:
    faults = refused(world, protocol="custom", settings={"transport": "nope"})
    assert set(faults) == {"settings.transport"}
    assert faults["settings.transport"].startswith("must name an installed transport; ")
    assert set(refused(world, protocol="custom")) == {"settings.transport"}
    assert set(refused(world, type="gadget", protocol="telepathy")) == {"type", "protocol"}


def test_an_oauth_integration_obtains_its_tokens(world: World) -> None:
    faults = refused(world, type="oauth", auth={"mode": "bearer", "token": "a-secret-token"})
    assert faults == {
        "auth.mode": "an integration of type oauth needs a mode that obtains tokens, such as oauth2"
    }
    assert "auth.client_secret" in refused(world, type="oauth", auth={**OAUTH, "client_secret": None})


def test_a_mode_that_the_transport_cannot_use_is_refused(world: World) -> None:
    faults = refused(
        world,
        type="database",
        base_url=ADDRESSES["database"],
        auth={"mode": "bearer", "token": "a-secret-token"},
    )
    assert faults["auth.mode"].startswith("database can use ")
    assert set(refused(world, auth={"mode": "kerberos"})) == {"auth.mode"}


def test_every_problem_is_told_at_once_with_its_path(world: World) -> None:
    faults = refused(
        world,
        name="n" * 200,
        base_url="http://user:pass@127.0.0.1",
        settings={"colour": 1},
        auth={"mode": "oauth2", "grant": "device", "token_url": "http://127.0.0.1/t#x"},
        tls={"key": "not a key"},
        headers={"Host": "x"},
        request_transform=[{"op": "fly"}],
        response_transform="none",
        error_mapping=[
            {"then": "retry"},
            {"when": {"error_classes": ["sad"]}, "then": "fail"},
            {"when": {"statuses": [500], "headers": {"x": "("}}, "then": "retry", "message": "{{"},
            {"when": {"statuses": [500]}, "then": "explode"},
        ],
        operations={
            "get": {"path": "/a", "input_schema": {"type": "thing"}, "cost": 0},
            "Bad name": {"path": "/a"},
            "other": {"path": "/a", "request_transform": [{"op": "fly"}]},
        },
        rate_limit={"limits": [{"limit": 0}], "on_limit": "panic"},
        caching={"ttl_seconds": -1},
        quota={"calls_per_day": -1},
        access={"api_keys": ["key_x"]},
        data_policy={"redact": ["body.card"], "store": "some", "retention_days": 0},
        health_check={"operation": "nope"},
        status="asleep",
        tags=[""],
    )
    expected = {
        "name", "base_url", "settings.colour", "auth.device_url", "auth.client_id", "auth.token_url",
        "auth.client_secret", "tls.certificate", "headers.Host", "request_transform[0].op", "response_transform",
        "error_mapping.0.when", "error_mapping.1.when.error_classes", "error_mapping.2.when.headers.x",
        "error_mapping.2.message", "error_mapping.3.then", "operations.get.input_schema", "operations.get.cost",
        "operations.Bad name", "operations.other.request_transform[0].op", "rate_limit.limits.0.limit",
        "rate_limit.on_limit", "caching.ttl_seconds", "quota.calls_per_day", "access.api_keys.0",
        "data_policy.redact[0]", "data_policy.store", "data_policy.retention_days", "health_check.operation",
        "status", "tags.0",
    }  # fmt: skip
    loose = {path.replace("[", ".").replace("]", "") for path in faults}
    missing = {path.replace("[", ".").replace("]", "") for path in expected}
    assert not {one for one in missing if not any(path.startswith(one) for path in loose)}, faults


def test_a_rate_that_cannot_be_counted_is_refused(world: World) -> None:
    faults = refused(world, rate_limit={"limits": [{"limit": 1_000_000, "per_seconds": 0.01}]})
    assert faults == {"rate_limit.limits.0": "must be at most 100,000 calls a second"}


def test_type_and_protocol_cannot_change(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    answer = world.call(
        "PATCH", f"/integrations/{made['id']}", json={"type": "database", "protocol": "custom", "tags": ["a"]}
    )
    assert answer.status_code == 422
    told = {one["path"]: one["message"] for one in answer.json()["errors"]}
    assert set(told) == {"type", "protocol"}
    assert told["type"].startswith("cannot change; it is api")
    assert world.call("GET", f"/integrations/{made['id']}").json() == made


@pytest.mark.parametrize("status", ["inactive", "maintenance"])
def test_an_integration_that_is_not_active_holds_what_waits_and_costs_no_attempt(
    world: World, provider: Provider, status: str
) -> None:
    made = world.create(provider.url, quota={"calls_per_day": 1})
    path = f"/integrations/{made['id']}"
    waiting = world.execute(made["id"])
    world.call("PATCH", path, json={"status": status})
    world.run_executions()
    held = world.read(waiting)
    assert (held["state"], held["reason"], held["attempts"]) == ("held", f"integration_{status}", 0)
    given = {"operation": "get_user", "input": {"path": {"id": 7}}}
    answer = world.call("POST", f"{path}/execute", json=given)
    assert answer.status_code == {"inactive": 409, "maintenance": 202}[status]
    if status == "inactive":
        assert "The integration is inactive" in answer.json()["detail"]
    else:
        world.run_executions()
        assert world.read(answer.json()["id"])["reason"] == "integration_maintenance"
        world.call("POST", f"/executions/{answer.json()['id']}/cancel")
    # What was held took nothing of the quota, and gave nothing back that it had not taken.
    assert world.call("GET", f"{path}/usage").json()["day"]["calls"] == 0
    world.call("PATCH", path, json={"status": "active"})
    second = world.execute(made["id"])
    world.run_executions()
    assert sorted(world.read(one)["state"] for one in (waiting, second)) == ["done", "failed"]
    assert len(provider.calls) == 1


def test_a_deprecated_integration_works_and_says_so(world: World, provider: Provider) -> None:
    made = world.create(provider.url, status="deprecated")
    path = f"/integrations/{made['id']}"
    body = {"operation": "get_user", "input": {"path": {"id": 7}}}
    answer = world.call("POST", f"{path}/execute", json=body)
    assert answer.status_code == 202
    assert answer.headers["deprecation"]
    world.run_executions()
    assert world.read(answer.json()["id"])["state"] == "done"
    links = world.call("POST", f"{path}/dry-run", json=body).json()["links"]
    assert links[0]["note"]["deprecated"] is True
    active = world.create(provider.url, name="active")
    fresh = world.call("POST", f"/integrations/{active['id']}/execute", json=body)
    assert "deprecation" not in fresh.headers
