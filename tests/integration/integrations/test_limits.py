"""How much of a service's patience is used, over all workers; counted at the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hub.access.issuing import issue_key
from hub.access.scopes import Scope
from hub.integrations.pipeline.tools import Limits
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.integrations.test_executing import seconds_until
from tests.integration.integrations.workers import running_workers
from tests.integration.integrations.world import World
from tests.support.waiting import until


def create(world: World, provider: Provider, **limit: Any) -> dict[str, Any]:
    return world.create(provider.url, rate_limit=limit, timeout_seconds=10)


def batch(world: World, made: dict[str, Any], count: int) -> None:
    items = [{"operation": "get_user", "input": {"path": {"id": number}}} for number in range(count)]
    answer = world.call("POST", f"/integrations/{made['id']}/execute-batch", json={"items": items})
    assert answer.status_code == 202, answer.text


def ask(world: World, made: dict[str, Any], operation: str = "get_user", **more: Any) -> str:
    key = more.pop("key", None)
    given = {"path": {"id": 7}} if operation == "get_user" else {"body": {}}
    body = {"operation": operation, "input": given, **more}
    answer = world.call("POST", f"/integrations/{made['id']}/execute", json=body, key=key)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def timed(moments: list[float]) -> Callable[[Call], Answer]:
    def answer(_call: Call) -> Answer:
        moments.append(time.monotonic())
        return Answer()

    return answer


def most_in_a_second(moments: list[float]) -> int:
    moments = sorted(moments)
    return max(sum(begin <= other < begin + 1 for other in moments) for begin in moments)


def done(world: World) -> int:
    return int(world.sql("SELECT count(*) FROM hub.execution WHERE state = 'done'")[0][0])


@pytest.mark.parametrize("burst", [1, 5])
def test_four_workers_share_one_rate(world: World, provider: Provider, redis_url: str, burst: int) -> None:
    moments: list[float] = []
    provider.default = timed(moments)
    made = create(world, provider, limits=[{"limit": 10, "burst": burst}])
    batch(world, made, 25 + burst)
    begun = time.monotonic()
    with running_workers(world, redis_url, 4):
        until(lambda: done(world) == 25 + burst)
    assert most_in_a_second(moments) <= 10 + burst
    # And what there is, is used: 25 beyond the burst take two and a half seconds.
    assert 2.2 <= time.monotonic() - begun <= 6
    assert world.sql("SELECT max(attempt), count(DISTINCT id) FROM hub.execution")[0] == (1, 25 + burst)
    assert world.sql("SELECT count(*) FROM hub.attempt")[0][0] == 25 + burst


def test_calls_at_once_are_bounded_over_workers(world: World, provider: Provider, redis_url: str) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def answer(_call: Call) -> Answer:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return Answer()

    provider.default = answer
    made = create(world, provider, max_concurrent=3)
    batch(world, made, 24)
    with running_workers(world, redis_url, 3):
        until(lambda: done(world) == 24)
    assert most[0] == 3
    assert world.sql("SELECT max(attempt) FROM hub.execution")[0][0] == 1


def test_who_waits_takes_no_thread_and_costs_no_attempt(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    made = create(world, provider, limits=[{"limit": 1, "per_seconds": 60, "burst": 1}])
    first, second, third = (ask(world, made) for _ in range(3))
    begun = time.monotonic()
    world.run_executions(capacity=1)
    assert time.monotonic() - begun < 5
    states = [world.read(one) for one in (first, second, third)]
    assert [one["state"] for one in states] == ["done", "due", "due"]
    assert [(one["attempts"], one["metrics"]["retry_count"], one["reason"]) for one in states[1:]] == [
        (0, 0, "rate_limited")
    ] * 2
    # One after the other, at the limit's own pace.
    waits = sorted(seconds_until(one["next_attempt_at"]) for one in states[1:])
    assert 50 < waits[0] <= 62 < 110 < waits[1] <= 125


def test_limits_are_counted_for_callers_and_users_alone(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    limits = [{"limit": 1, "per_seconds": 60, "burst": 1, "by": by} for by in ("caller", "user")]
    made = create(world, provider, limits=limits, on_limit="reject")
    with world.engine.begin() as conn:
        other = issue_key(conn, world.tenant_id, "other", [Scope.ADMIN])[1].reveal()
    asked = [
        (ask(world, made, user="ann"), "done"),
        (ask(world, made, user="bob"), "failed"),  # the same key
        (ask(world, made, user="bob", key=other), "done"),
        (ask(world, made, user="ann", key=other), "failed"),
    ]
    world.run_executions(capacity=1)
    assert [world.read(one)["state"] for one, _ in asked] == [state for _, state in asked]
    refused = world.read(asked[1][0])
    assert (refused["reason"], refused["error"]["type"], refused["attempts"]) == (
        "rate_limited",
        "rate_limited",
        0,
    )
    assert len(provider.calls) == 2


def test_a_costly_operation_takes_more(world: World, provider: Provider, redis_url: str) -> None:
    world.limits = Limits(redis_url)
    operations = {
        "get_user": {"path": "/users/{id}"},
        "make_user": {"method": "POST", "path": "/users", "cost": 5},
    }
    limit = {"limits": [{"limit": 5, "per_seconds": 60, "burst": 5}], "on_limit": "reject"}
    made = world.create(provider.url, operations=operations, rate_limit=limit)
    one, other = ask(world, made, "make_user"), ask(world, made)
    world.run_executions(capacity=1)
    assert (world.read(one)["state"], world.read(other)["state"]) == ("done", "failed")


def test_a_good_answer_with_nothing_left_holds_its_operation_alone(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    made = world.create(provider.url)
    provider.script = [Answer(200, b"{}", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"})]
    first = ask(world, made)
    world.run_executions()
    same, another = ask(world, made), ask(world, made, "make_user")
    world.run_executions()
    assert world.read(first)["state"] == world.read(another)["state"] == "done"
    waits = world.read(same)
    assert (waits["state"], waits["reason"], waits["attempts"]) == ("due", "rate_limited", 0)
    assert 50 < seconds_until(waits["next_attempt_at"]) <= 61


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_holds_the_whole_integration_and_no_other(
    world: World, provider: Provider, redis_url: str, status: int
) -> None:
    world.limits = Limits(redis_url)
    made, other = world.create(provider.url), world.create(provider.url, name="other")
    provider.script = [Answer(status, b"", {"Retry-After": "60"})]
    refused = ask(world, made)
    world.run_executions()
    assert 55 < seconds_until(world.read(refused)["next_attempt_at"]) <= 67
    same, elsewhere = ask(world, made, "make_user"), ask(world, other)
    world.run_executions()
    assert (world.read(same)["state"], world.read(elsewhere)["state"]) == ("due", "done")
    assert world.read(same)["attempts"] == 0
    # Another worker hears of it, whether the integration has limits of its own or none.
    for limit in ({}, {"limits": [{"limit": 100}]}):
        world.limits = Limits(redis_url)
        world.call("PATCH", f"/integrations/{made['id']}", json={"rate_limit": limit})
        told, others = ask(world, made), ask(world, other)
        world.run_executions()
        assert (world.read(told)["state"], world.read(others)["state"]) == ("due", "done")


def test_who_does_not_want_to_learn_does_not(world: World, provider: Provider, redis_url: str) -> None:
    world.limits = Limits(redis_url)
    made = create(world, provider, learn=False)
    provider.script = [Answer(200, b"{}", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"})]
    first = ask(world, made)
    world.run_executions()
    second = ask(world, made)
    world.run_executions()
    assert [world.read(one)["state"] for one in (first, second)] == ["done", "done"]


@pytest.mark.parametrize(("on_outage", "state"), [("open", "done"), ("closed", "due")])
@pytest.mark.parametrize(
    "limit", [{"limits": [{"limit": 100}]}, {"max_concurrent": 10}], ids=["rate", "at once"]
)
def test_an_outage_is_open_or_closed_as_the_integration_says(
    world: World, provider: Provider, on_outage: str, state: str, limit: dict[str, Any]
) -> None:
    world.limits = Limits("redis://127.0.0.1:1")
    made = create(world, provider, on_outage=on_outage, **limit)
    execution = ask(world, made)
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], len(provider.calls)) == (state, int(state == "done"))
    assert detail["attempts"] == len(provider.calls)
    assert not detail["attempt_log"] or detail["attempt_log"][0]["outcome"] == "succeeded"


def test_a_place_is_given_back_however_the_call_ended(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    made = create(world, provider, max_concurrent=1, on_limit="reject")
    provider.script = [Answer(500), Answer(400), Answer(200, b"\xff" * 10, {})]
    for _ in range(4):
        execution = ask(world, made, "make_user")
        world.run_executions()
        assert world.read(execution)["reason"] != "rate_limited"
    assert len(provider.calls) == 4


def test_who_finds_no_place_uses_up_no_rate(world: World, provider: Provider, redis_url: str) -> None:
    world.limits = Limits(redis_url)
    gate = threading.Event()
    provider.default = lambda _call: Answer(200, b"{}", gate=gate)
    rate = {"limit": 3, "per_seconds": 3600, "burst": 3}
    made = create(world, provider, max_concurrent=1, limits=[rate])
    batch(world, made, 3)
    with running_workers(world, redis_url, 1):
        until(lambda: provider.calls, what="the one call at once")
        waiting = "SELECT count(*) FROM hub.execution WHERE reason = 'rate_limited'"
        until(lambda: world.sql(waiting)[0][0] == 2, what="the others to be denied")
        gate.set()
        # An hour's rate is three calls: had a denial taken one, the last would wait for most of it.
        until(lambda: done(world) == 3, what="all of them")
