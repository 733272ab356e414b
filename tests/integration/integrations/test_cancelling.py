"""Cancelling an execution: before it is made, while it is made, and not after."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.workers import running_workers
from tests.integration.integrations.world import World
from tests.support.waiting import until


def cancel(world: World, execution: str, status: int = 200) -> Any:
    answer = world.call("POST", f"/executions/{execution}/cancel")
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize("operation", ["get_user", "make_user"])
def test_a_call_under_way_is_cut_off(world: World, provider: Provider, operation: str) -> None:
    gate = threading.Event()
    provider.script = [Answer(gate=gate)]
    made = world.create(provider.url, timeout_seconds=20)
    given = {"path": {"id": 7}} if operation == "get_user" else {"body": {}}
    with running_workers(world, None):
        execution = world.execute(made["id"], operation, **given)
        until(lambda: provider.calls)
        begun = time.monotonic()
        assert cancel(world, execution)["state"] == "cancelled"
        until(lambda: world.read(execution)["attempt_log"], seconds=10, what="the cut-off attempt")
        # The call itself would take 20 seconds.
        assert time.monotonic() - begun < 10
        detail = world.read(execution)
        assert (detail["state"], detail["reason"], detail["result"]) == ("cancelled", "cancelled", None)
        (attempt,) = detail["attempt_log"]
        assert (attempt["error_class"], attempt["late"]) == ("cancelled", True)
        # The worker is alive, and what comes next is made.
        gate.set()
        after = world.execute(made["id"])
        until(lambda: world.read(after)["state"] == "done")
    assert len(provider.calls) == 2


def test_a_call_that_goes_on_is_left_alone(world: World, provider: Provider) -> None:
    gates = [threading.Event(), threading.Event()]
    provider.script = [Answer(gate=gate) for gate in gates]
    made = world.create(provider.url, timeout_seconds=20)
    with running_workers(world, None):
        first = world.execute(made["id"])
        until(lambda: len(provider.calls) == 1)
        second = world.execute(made["id"])
        until(lambda: len(provider.calls) == 2)
        cancel(world, second)
        until(lambda: world.read(second)["attempt_log"], seconds=10)
        gates[0].set()
        until(lambda: world.read(first)["state"] == "done", seconds=10)
        gates[1].set()
    assert world.read(second)["state"] == "cancelled"


@pytest.mark.parametrize("state", ["due", "retry", "held"])
def test_what_waits_is_cancelled_for_good(world: World, provider: Provider, state: str) -> None:
    provider.script = [Answer(503)]
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    if state == "held":
        world.call("PATCH", f"/integrations/{made['id']}", json={"status": "inactive"})
    if state != "due":
        world.run_executions()
    calls = len(provider.calls)
    detail = cancel(world, execution)
    assert (detail["state"], detail["finished_at"] is not None) == ("cancelled", True)
    world.call("PATCH", f"/integrations/{made['id']}", json={"status": "active"})
    world.everything_due()
    world.run_executions()
    assert (world.read(execution)["state"], len(provider.calls)) == ("cancelled", calls)
    again = cancel(world, execution, 409)
    assert "cancelled already" in again["detail"]


def test_what_is_finished_or_of_others_cannot_be_cancelled(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    stranger = world.other_key(tenant="globex")
    assert world.call("POST", f"/executions/{execution}/cancel", key=stranger).status_code == 404
    world.run_executions()
    before = world.read(execution)
    assert "done already" in cancel(world, execution, 409)["detail"]
    assert world.read(execution) == before
    # Of a deleted integration too.
    waiting = world.execute(made["id"])
    world.call("DELETE", f"/integrations/{made['id']}")
    assert cancel(world, waiting)["state"] == "cancelled"


def test_an_execution_is_made_again_with_another_input(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    body = {
        "operation": "get_user",
        "input": {"path": {"id": 1}},
        "user": "ann",
        "component": "billing",
    }
    first = world.call("POST", f"/integrations/{made['id']}/execute", json=body).json()["id"]
    world.run_executions()

    def replay(status: int = 202, **changes: Any) -> Any:
        answer = world.call("POST", f"/executions/{first}/replay", json=changes)
        assert answer.status_code == status, answer.text
        return answer.json()

    same = replay()["id"]
    edited = replay(input={"path": {"id": 2}})["id"]
    other = replay(operation="make_user", input={"body": {}})["id"]
    assert [error["path"] for error in replay(422, operation="nope")["errors"]] == ["operation"]
    assert [error["path"] for error in replay(422, input={})["errors"]] == ["input.path.id"]
    world.run_executions(capacity=1)
    assert [(call.method, call.path) for call in provider.calls] == [
        ("GET", "/users/1"), ("GET", "/users/1"), ("GET", "/users/2"), ("POST", "/users"),
    ]  # fmt: skip
    original = world.read(first)
    for one in (same, edited, other):
        detail = world.read(one)
        assert (detail["source"], detail["replay_of"], detail["user"], detail["component"]) == (
            "replay", first, "ann", "billing",
        )  # fmt: skip
        assert detail["trace_id"] == original["trace_id"]
    once = {"Idempotency-Key": "k"}
    keyed = [world.call("POST", f"/executions/{first}/replay", headers=once).json() for _ in range(2)]
    assert keyed[0] == keyed[1]
    assert world.sql("SELECT count(*) FROM hub.execution")[0][0] == 5
    stranger = world.other_key(tenant="globex")
    assert world.call("POST", f"/executions/{first}/replay", key=stranger).status_code == 404
