"""One tenant's ids are nothing to another tenant, at every route and in every body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.access.scopes import Scope
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

#: Bodies that would do harm if the id in the path were taken.
BODIES: dict[str, Any] = {
    "execute": {"operation": "get_user", "input": {"path": {"id": 1}}},
    "execute-batch": {"items": [{"operation": "get_user", "input": {"path": {"id": 1}}}]},
    "dry-run": {"operation": "get_user", "input": {"path": {"id": 1}}},
    "schedules": {
        "name": "theirs",
        "operation": "get_user",
        "input": {"path": {"id": 1}},
        "every_seconds": 60,
    },
    "replay": {},
    "rollback": {},
    "authorize": {},
    "/v1/flows/{flow_id}/test": {"type": "a.b"},
    "/v1/flows/{flow_id}/publish": {"executions": [f"exe_{'0' * 32}"]},
    "{integration_id}": {"description": "mine now"},
    "{schedule_id}": {"paused": True},
    "{flow_id}": {"paused": True},
}
PARTS = ("integration", "execution", "schedule", "flow", "version", "batch")


@pytest.fixture
def theirs(world: World, provider: Provider) -> dict[str, str]:
    """Something of everything, of the first tenant."""
    made = world.create(
        provider.url,
        auth={"mode": "bearer", "token": "canary-token-77"},
        tags=["canary-tag"],
        description="canary",
    )
    integration = made["id"]
    given = {"operation": "get_user", "input": {"path": {"id": 7}}}
    batch = world.call("POST", f"/integrations/{integration}/execute-batch", json={"items": [given]}).json()
    schedule = world.call(
        "POST",
        f"/integrations/{integration}/schedules",
        json={"name": "canary", **given, "every_seconds": 3600},
    ).json()
    flow = world.call(
        "POST", "/flows",
        json={"name": "canary", "event_types": ["a.b"], "integration": integration, "operation": "get_user"},
    ).json()  # fmt: skip
    world.run_executions()
    return {
        "integration_id": integration,
        "execution_id": batch["data"][0]["id"],
        "batch_id": batch["id"],
        "schedule_id": schedule["id"],
        "flow_id": flow["id"],
        "version": "1",
    }


def snapshot(world: World) -> str:
    """Everything of the tables that such routes could change."""
    tables = ("integration", "integration_version", "execution", "execution_schedule", "flow", "integration_grant",
              "grant_request")  # fmt: skip
    known = {row.table_name for row in world.sql("SELECT table_name FROM information_schema.tables")}
    return json.dumps(
        [[str(row) for row in world.sql(f"SELECT * FROM hub.{t} ORDER BY 1")] for t in tables if t in known]
    )


def test_no_route_takes_an_id_of_another_tenant(world: World, theirs: dict[str, str]) -> None:
    other = world.other_key(Scope.ADMIN, tenant="other")
    paths: dict[str, dict[str, Any]] = world.call("GET", "/../openapi.json").json()["paths"]
    wanted = {
        path: methods
        for path, methods in paths.items()
        if "{" in path and any(f"{{{part}_id}}" in path for part in PARTS)
    }
    before = snapshot(world)
    tried = 0
    for path, methods in wanted.items():
        for method in methods:
            filled = path.format(**theirs)
            body = BODIES.get(path, BODIES.get(path.rsplit("/", 1)[1]))
            body = body if method in {"post", "patch", "put"} else None
            answer = world.call(method.upper(), filled.removeprefix("/v1"), key=other, json=body)
            assert answer.status_code in {404, 409}, (method, path, answer.status_code, answer.text)
            assert "canary" not in answer.text, (method, path)
            tried += 1
    assert tried >= 25, wanted.keys()
    assert snapshot(world) == before


def test_no_list_shows_or_counts_what_is_another_tenants(world: World, theirs: dict[str, str]) -> None:
    other = world.other_key(Scope.ADMIN, tenant="other")
    given = theirs
    queries = [
        "/integrations", "/integrations?tag=canary-tag", "/integrations?search=canary", "/executions",
        f"/executions?integration={given['integration_id']}", f"/executions?batch={given['batch_id']}",
        f"/executions?schedule={given['schedule_id']}", f"/executions?flow={given['flow_id']}",
        "/schedules", f"/schedules?integration={given['integration_id']}", "/flows",
        f"/flows?integration={given['integration_id']}",
    ]  # fmt: skip
    for query in queries:
        answer = world.call("GET", query, key=other)
        assert answer.status_code == 200, (query, answer.text)
        assert answer.json()["data"] == [], query
    told = world.call("GET", "/audit", key=other, params={"limit": 100}).text
    assert not [one for one in theirs.values() if len(one) > 8 and one in told]


def test_no_body_reaches_an_integration_of_another_tenant(world: World, theirs: dict[str, str]) -> None:
    other = world.other_key(Scope.ADMIN, tenant="other")
    before = snapshot(world)
    flow = {
        "name": "f",
        "event_types": ["*"],
        "integration": theirs["integration_id"],
        "operation": "get_user",
    }
    assert world.call("POST", "/flows", key=other, json=flow).status_code == 404
    assert snapshot(world) == before
    mine = world.call(
        "POST", "/integrations", key=other,
        json={"name": "mine", "base_url": "http://127.0.0.1:9", "operations": {"get_user": {"path": "/"}}},
    ).json()  # fmt: skip
    made = world.call("POST", "/flows", key=other, json={**flow, "integration": mine["id"]})
    assert made.status_code == 201, made.text
    stolen = world.call(
        "PATCH", f"/flows/{made.json()['id']}", key=other, json={"integration": theirs["integration_id"]}
    )
    assert stolen.status_code == 404
    # Of one name: applying makes one of its own, and leaves the other tenant's alone.
    document = {"name": "provider", "base_url": "http://127.0.0.1:9"}
    applied = world.call("POST", "/integrations/apply", key=other, json={"integrations": [document]})
    assert [one["action"] for one in applied.json()["data"]] == ["create"]
    assert world.call("GET", f"/integrations/{theirs['integration_id']}").json()["description"] == "canary"
