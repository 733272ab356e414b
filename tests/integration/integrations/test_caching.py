"""Answers that are given again: one call for many, never across tenants, versions or operations that change things."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import redis

from hub.core.ids import Kind, new_uuid, parse_id
from hub.integrations.grants.store import note_account
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context, Tools
from hub.integrations.pipeline.tools import Limits
from hub.integrations.target import load_target
from hub.net.session import GuardedSession
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.integrations.workers import running_workers
from tests.integration.integrations.world import World
from tests.support.waiting import until

CACHED = {"caching": {"ttl_seconds": 60}}


def numbered(provider: Provider) -> None:
    """Each answer is another one."""
    provider.default = lambda _call: Answer(200, json.dumps({"n": len(provider.calls)}).encode())


def results(world: World, *executions: str) -> list[Any]:
    return [world.read(one)["result"]["data"]["n"] for one in executions]


def test_fifty_equal_calls_at_once_cost_one(world: World, provider: Provider, redis_url: str) -> None:
    gate = threading.Event()

    def slow(_call: Call) -> Answer:
        return Answer(200, b'{"n":1}', gate=gate)

    provider.default = slow
    made = world.create(provider.url, **CACHED)
    items = [{"operation": "get_user", "input": {"path": {"id": 7}}} for _ in range(50)]
    world.call("POST", f"/integrations/{made['id']}/execute-batch", json={"items": items})
    with running_workers(world, redis_url, 2):
        until(lambda: provider.calls)
        # The others have looked, and went back to the ledger.
        waiting = "SELECT count(*) FROM hub.execution WHERE reason = 'cache_wait'"
        until(lambda: world.sql(waiting)[0][0] >= 10)
        gate.set()
        until(lambda: world.sql("SELECT count(*) FROM hub.execution WHERE state = 'done'")[0][0] == 50)
    assert len(provider.calls) == 1
    assert [tuple(row) for row in world.sql("SELECT cached, count(*) FROM hub.execution GROUP BY 1 ORDER BY 1")] == [
        (False, 1), (True, 49),
    ]  # fmt: skip
    # Kept answers are no attempts and no calls.
    assert world.sql("SELECT count(*) FROM hub.attempt")[0][0] == 1
    assert world.sql("SELECT sum(calls) FROM hub.integration_metric")[0][0] == 1
    assert world.sql("SELECT sum(attempt) FROM hub.execution")[0][0] == 1


def test_the_leaders_failure_is_not_the_answer_of_the_others(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    provider.script = [Answer(400, b"no")]
    numbered(provider)
    made = world.create(provider.url, **CACHED)
    first = world.execute(made["id"])
    world.run_executions()
    second, third = world.execute(made["id"]), world.execute(made["id"])
    world.run_executions(capacity=1)
    assert world.read(first)["state"] == "failed"
    assert results(world, second, third) == [2, 2]
    shown = world.read(third)
    assert (shown["cached"], shown["attempts"], shown["attempt_log"], shown["status"]) == (True, 0, [], 200)


def test_nothing_is_shared_by_versions_tenants_inputs_or_unsafe_operations(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    numbered(provider)
    operations = {
        "get_user": {"path": "/users/{id}"},
        "make_user": {"method": "POST", "path": "/users"},
        "find": {"method": "POST", "path": "/find", "safe": True},
        "fresh": {"path": "/fresh", "cache_seconds": 0},
    }
    made = world.create(provider.url, operations=operations, **CACHED)

    def twice(operation: str, **given: Any) -> list[Any]:
        both = [world.execute(made["id"], operation, **given) for _ in range(2)]
        world.run_executions(capacity=1)
        first, second = results(world, *both)
        return [first, second]

    assert twice("get_user", path={"id": 1}) == [1, 1]
    assert twice("get_user", path={"id": 2}) == [2, 2]
    assert twice("get_user", path={"id": 1}, query={"a": 1}) == [3, 3]
    assert twice("get_user", path={"id": 1}, headers={"X-A": "b"}) == [4, 4]
    assert twice("make_user", body={}) == [5, 6]
    assert twice("find", body={"q": 1}) == [7, 7]
    assert twice("fresh", query={}) == [8, 9]
    world.call("PATCH", f"/integrations/{made['id']}", json={"description": "new"})
    assert twice("get_user", path={"id": 1}) == [10, 10]

    stranger = world.other_key(tenant="globex")
    body = {"name": "provider", "base_url": provider.url, "operations": operations, **CACHED}
    theirs = world.call("POST", "/integrations", key=stranger, json=body).json()
    given = {"operation": "get_user", "input": {"path": {"id": 1}}}
    asked = world.call("POST", f"/integrations/{theirs['id']}/execute", key=stranger, json=given).json()["id"]
    world.run_executions()
    assert world.call("GET", f"/executions/{asked}", key=stranger).json()["result"]["data"] == {"n": 11}


def test_another_account_is_not_given_the_answers_of_the_one_before(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    numbered(provider)
    made = world.create(provider.url, **CACHED)

    def called() -> Any:
        one = world.execute(made["id"])
        world.run_executions()
        return results(world, one)

    assert [called(), called()] == [[1], [1]]
    with world.engine.begin() as conn:
        note_account(conn, world.tenant_id, parse_id(Kind.INTEGRATION, made["id"], field="id"))
    assert [called(), called()] == [[2], [2]]


def test_an_answer_is_kept_as_the_steps_made_it_and_only_for_its_time(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    numbered(provider)
    operations = {
        "get_user": {
            "path": "/users/{id}",
            "response_transform": [{"rename": {"n": "number"}}],
            "cache_seconds": 30,
        }
    }
    made = world.create(provider.url, operations=operations)
    both = [world.execute(made["id"]) for _ in range(2)]
    world.run_executions(capacity=1)
    assert [world.read(one)["result"]["data"] for one in both] == [{"number": 1}] * 2
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys("hub:limits:cache:*")
        assert 0 < client.ttl(key) <= 30
        client.delete(key)
    third = world.execute(made["id"])
    world.run_executions()
    assert world.read(third)["result"]["data"] == {"number": 2}


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({"redact": ["data.iban"]}, False),
        ({"store": "errors"}, False),
        ({"store": "none"}, False),
        ({"redact": ["input.body.card"]}, True),
    ],
    ids=str,
)
def test_what_the_data_policy_hides_of_answers_is_not_kept_in_redis(
    world: World, provider: Provider, redis_url: str, policy: dict[str, Any], kept: bool
) -> None:
    world.limits = Limits(redis_url)
    provider.default = lambda _call: Answer(200, b'{"iban":"DE02120300000000202051","n":1}')
    made = world.create(provider.url, data_policy=policy, **CACHED)
    for _ in range(2):
        world.execute(made["id"])
        world.run_executions(capacity=1)
    assert len(provider.calls) == (1 if kept else 2)
    with redis.Redis.from_url(redis_url) as client:
        assert bool(client.keys("hub:limits:cache:*")) is kept


def test_a_test_and_a_check_call_the_service_itself(world: World, provider: Provider, redis_url: str) -> None:
    world.limits = Limits(redis_url)
    numbered(provider)
    check = {"operation": "get_user", "input": {"path": {"id": 7}}}
    made = world.create(provider.url, health_check=check, **CACHED)
    kept = world.execute(made["id"])
    world.run_executions()
    (row,) = world.sql("SELECT * FROM hub.integration")
    target = load_target(row, {})
    tools = Tools(GuardedSession(world.services.policy), None, world.limits)
    probed = chain.probe(target, Context(new_uuid()), tools)
    assert isinstance(probed, chain.Made)
    assert (probed.cached, probed.outcome.body) == (False, b'{"n": 2}')
    again = chain.run(target, "get_user", {"path": {"id": 7}}, Context(new_uuid()), tools)
    assert isinstance(again, chain.Made)
    assert (again.cached, again.outcome.body) == (True, b'{"n": 1}')
    assert results(world, kept) == [1]
    assert made["version"] == 1


def test_without_redis_every_call_is_made(world: World, provider: Provider) -> None:
    world.limits = Limits("redis://127.0.0.1:1")
    numbered(provider)
    made = world.create(provider.url, **CACHED)
    both = [world.execute(made["id"]) for _ in range(2)]
    world.run_executions(capacity=1)
    assert results(world, *both) == [1, 2]
