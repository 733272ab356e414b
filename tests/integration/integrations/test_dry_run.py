"""What an execution would do, link by link; nobody is called and nothing is used up."""

from __future__ import annotations

from typing import Any

import redis

from hub.integrations.pipeline.chain import BEFORE
from hub.integrations.pipeline.tools import Limits
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

CANARY = "canary-41ab0c7e-secret-value"
GIVEN = {"operation": "get_user", "input": {"path": {"id": 7}, "query": {"a": "b"}}}


def dry(world: World, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = world.call("POST", f"/integrations/{made['id']}/dry-run", json={**GIVEN, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def link(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [entry for entry in found["links"] if entry["link"] == name]
    return dict(one)


def with_limits(world: World, redis_url: str) -> None:
    """The application's links look at limits, as those of a worker do."""
    world.limits = Limits(redis_url)
    made = world.create("http://127.0.0.1:9", name="first")
    dry(world, made)
    world.app.state.bench.tools.limits = world.limits


def test_every_link_is_shown_and_nothing_is_used_up(world: World, provider: Provider, redis_url: str) -> None:
    with_limits(world, redis_url)
    operations = {"get_user": {"path": "/users/{id}", "request_transform": [{"set_header": {"X-A": "1"}}]}}
    made = world.create(
        provider.url,
        operations=operations,
        auth={"mode": "bearer", "token": CANARY},
        caching={"ttl_seconds": 60},
        quota={"calls_per_day": 1},
        rate_limit={"limits": [{"limit": 1, "per_seconds": 60, "burst": 1}], "max_concurrent": 1},
    )
    for _ in range(3):
        found = dry(world, made)
        assert found["would_call"] is True
    assert [one["link"] for one in found["links"]] == [name for name, _ in BEFORE]
    assert {one["result"] for one in found["links"]} == {"passed"}
    assert all(one["ms"] >= 0 for one in found["links"])
    prepared = link(found, "prepare")["note"]
    assert prepared["endpoint"] == f"{provider.url}/users/7?a=b"
    assert (prepared["method"], prepared["headers"]["X-A"], prepared["safe"]) == ("GET", "1", True)
    assert link(found, "cache")["note"] == {"hit": False, "ttl_seconds": 60}
    assert link(found, "limits")["note"] == {"wait_seconds": 0}
    assert link(found, "authenticate")["note"] == {"mode": "bearer"}
    assert "Authorization: Bearer ***" in found["curl"]
    assert CANARY not in str(found)

    assert not provider.calls
    for table in ("execution", "attempt", "integration_usage", "integration_metric"):
        assert not world.sql(f"SELECT 1 FROM hub.{table}")
    with redis.Redis.from_url(redis_url) as client:
        assert not client.keys("*")
    # And then there is room for the one call.
    execution = world.execute(made["id"], path={"id": 7}, query={"a": "b"})
    world.run_executions()
    assert world.read(execution)["state"] == "done"

    after = dry(world, made)
    assert after["would_call"] is False
    assert after["links"][-1]["result"] == "quota_exceeded"
    world.call("PATCH", f"/integrations/{made['id']}", json={"quota": {}})
    later = dry(world, made)
    # Another version: its answer is not there, and its one call a minute is taken.
    assert link(later, "cache")["note"]["hit"] is False
    assert link(later, "limits")["note"]["wait_seconds"] > 50


def test_a_kept_answer_is_seen(world: World, provider: Provider, redis_url: str) -> None:
    with_limits(world, redis_url)
    made = world.create(provider.url, caching={"ttl_seconds": 60})
    world.execute(made["id"], path={"id": 7}, query={"a": "b"})
    world.run_executions()
    assert link(dry(world, made), "cache")["note"]["hit"] is True


def test_the_link_that_ends_it_is_the_last_one(world: World, provider: Provider) -> None:
    operations = {
        "get_user": {"path": "/users/{id}"},
        "strict": {"path": "/s", "input_schema": {"required": ["query"]}},
        "off": {"path": "/o", "request_transform": [{"cancel_if": {"query.no": "1"}}]},
        "hidden": {"path": "/h"},
    }
    made = world.create(
        provider.url, operations=operations, access={"allowed_operations": ["get_*", "strict", "off"]}
    )
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"operation": "hidden"}, "access", "operation_not_allowed"),
        (
            {"operation": "off", "input": {"query": {"no": "1"}}},
            "request_transform",
            "cancelled_by_transform",
        ),
        ({"operation": "strict", "input": {}}, "schema", "invalid_input"),
        ({"operation": "get_user", "input": {}}, "prepare", "invalid_input"),
        ({"operation": "get_nobody", "input": {}}, "prepare", "invalid_input"),
    ]
    for body, name, reason in cases:
        found = dry(world, made, **body)
        last = found["links"][-1]
        assert (found["would_call"], last["link"], last["result"]) == (False, name, reason), body
        assert last["message"]
    world.call("PATCH", f"/integrations/{made['id']}", json={"status": "maintenance"})
    assert dry(world, made)["links"][-1]["result"] == "integration_maintenance"


def test_a_token_is_not_obtained_for_it(world: World, provider: Provider) -> None:
    auth = {
        "mode": "oauth2",
        "grant": "client_credentials",
        "token_url": f"{provider.url}/token",
        "client_id": "hub",
        "client_secret": CANARY,
    }
    made = world.create(provider.url, auth=auth)
    assert dry(world, made)["would_call"] is True
    assert not provider.calls
    assert not world.sql("SELECT 1 FROM hub.integration_grant")
    stranger = world.other_key(tenant="globex")
    assert (
        world.call("POST", f"/integrations/{made['id']}/dry-run", key=stranger, json=GIVEN).status_code == 404
    )
