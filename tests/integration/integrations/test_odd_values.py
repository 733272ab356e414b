"""Whatever is sent as a definition, an input or a schedule: a 4xx with a path, or a definition that can be called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

ODD: list[Any] = [
    None, True, 0, -1, 1e308, 10**30, 0.1, "", " ", "x", "é\u202e", "\ud800", "x" * 5000, [], [None], [[]], ["x"],
    [{}], {}, {"": None}, {"x": None}, {"x": []}, {"a": {"b": {"c": {}}}}, {"$ref": "#"}, {"mode": "basic"},
    {"mode": "oauth2", "grant": []}, {"mode": "template", "secrets": []}, {"mode": "login_call", "url": 3},
    {"limits": [{"limit": 1, "per_seconds": 86_400, "burst": 1_000_000}]}, {"get": None}, {"get": {"path": 7}},
    {"get": {"path": "/", "input_schema": {"$ref": "#/nope"}}}, [{"jmespath": ""}], [{"jsonata": "$"}],
    [{"when": {"statuses": [True]}, "then": "fail"}], [{"when": {"body": {"$or": []}}, "then": "retry"}],
    {"certificate": "x", "key": ""}, {"ca": "-----BEGIN CERTIFICATE-----"}, {"redact": [None, "data", "data.*"]},
    {"operation": "request", "input": {"path": []}},
]  # fmt: skip


def definitions(url: str) -> Iterator[dict[str, Any]]:
    fields = (
        "name", "type", "protocol", "base_url", "settings", "auth", "tls", "headers", "timeout_seconds",
        "max_response_bytes", "follow_redirects", "retry_policy", "operations", "request_transform",
        "response_transform", "error_mapping", "rate_limit", "caching", "quota", "access", "data_policy", "logging",
        "health_check", "status", "tags", "description",
    )  # fmt: skip
    for field in fields:
        for value in ODD:
            yield {"name": "odd", "base_url": url, field: value}
    for protocol in ("graphql", "websocket", "grpc", "soap", "custom"):
        for value in ODD:
            yield {
                "name": "odd",
                "base_url": url,
                "protocol": protocol,
                "settings": value,
                "operations": {"get": value},
            }
    for kind in ("database", "file_transfer", "messaging", "ai_service", "oauth", "webhook"):
        for value in ODD:
            yield {
                "name": "odd",
                "base_url": url,
                "type": kind,
                "settings": value,
                "operations": {"get": value},
            }


def send(world: World, method: str, path: str, body: Any) -> int:
    answer = world.call(method, path, json=body)
    assert answer.status_code < 500, (method, path, body, answer.text)
    if answer.status_code == 422:
        assert answer.json()["errors"], answer.text
        assert all(one["message"] for one in answer.json()["errors"])
    return answer.status_code


def test_definitions(world: World, provider: Provider) -> None:
    saved = 0
    for body in definitions(provider.url):
        if send(world, "POST", "/integrations", body) == 201:
            saved += 1
            (one,) = world.call("GET", "/integrations").json()["data"]
            path = f"/integrations/{one['id']}"
            assert send(world, "GET", f"{path}/versions/1", None) == 200
            send(world, "POST", f"{path}/dry-run", {"operation": "request"})
            send(world, "PATCH", path, {"tags": ["again"]})
            assert send(world, "DELETE", path, None) == 204
    assert saved > 30


@pytest.mark.parametrize("field", ["input", "operation", "user", "component", "not_before"])
def test_executions(world: World, provider: Provider, field: str) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}"
    for value in [
        *ODD,
        {"path": {"id": {}}},
        {"query": {"a": {}}},
        {"headers": {"a": None}},
        {"body": 10**400},
    ]:
        body = {"operation": "get_user", "input": {"path": {"id": 1}}, field: value}
        send(world, "POST", f"{path}/execute", body)
        send(world, "POST", f"{path}/execute-batch", {"items": [body]})
        if field in {"input", "operation", "user"}:
            send(world, "POST", f"{path}/dry-run", body)
    world.run_executions()
    assert not world.sql("SELECT 1 FROM hub.execution WHERE state = 'failed' AND reason = 'internal'")
    assert world.call("GET", "/executions?limit=250").status_code == 200


def test_changes_schedules_and_rollbacks(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": "a-secret-token"})
    path = f"/integrations/{made['id']}"
    for value in ODD:
        for field in ("auth", "tls", "operations", "settings", "type", "name"):
            send(world, "PATCH", path, {field: value})
        send(world, "POST", f"{path}/versions/1/rollback", {"auth": value})
        send(world, "POST", "/integrations/apply", {"integrations": [value]})
        send(
            world,
            "POST",
            "/integrations/apply",
            {"integrations": [{"name": "provider", "base_url": provider.url, "auth": value}]},
        )
        for field in ("cron", "timezone", "every_seconds", "overlap", "input", "operation"):
            body = {
                "name": f"s{field}",
                "operation": "get_user",
                "input": {"path": {"id": 1}},
                "every_seconds": 60,
                field: value,
            }
            send(world, "POST", f"{path}/schedules", body)
    assert world.call("GET", "/schedules").status_code == 200
    assert world.call("GET", "/integrations").status_code == 200


def test_queries(world: World, provider: Provider) -> None:
    world.create(provider.url)
    for value in ("\0", "a\0b", "%", "\\", "'", "é", "x" * 5000, "-1", "0", "9" * 30, "1e3", "null", ""):
        for path, names in (
            ("/integrations", ("search", "tag", "type", "status", "cursor", "limit")),
            ("/executions", (
                "integration", "operation", "state", "error_class", "status", "batch", "schedule", "flow", "event",
                "user", "since", "until", "cursor", "limit",
            )),
            ("/schedules", ("integration", "cursor", "limit")),
            ("/audit", ("subject", "action", "cursor", "limit")),
        ):  # fmt: skip
            for name in names:
                answer = world.call("GET", path, params={name: value})
                assert answer.status_code in {200, 400, 422}, (path, name, value, answer.text)
