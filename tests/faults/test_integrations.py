"""An execute worker dies at every link of an execution that holds a place, a rate, a quota and a kept answer."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.load import leased
from tests.support.fatal_executor import POINTS
from tests.support.receivers import FastReceiver
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.faults

_COUNT = 8


def doomed(hub: RunningHub, point: str, at: int) -> None:
    """In place of the execute worker, one that dies at a point."""
    hub.stop("execute")
    child = hub.processes["execute"].child
    argv = list(child.argv)
    argv[argv.index("workers.app")] = "tests.support.fatal_executor"
    environment = {**child.env, "FATAL_POINT": point, "FATAL_AT": str(at)}
    hub.add(replace(child, name="doomed", argv=argv, env=environment))


def create(hub: RunningHub, receiver: FastReceiver, **fields: Any) -> Any:
    operations = {
        "read": {"path": "/read/{n}"},
        "pay": {"method": "POST", "path": "/pay/{n}"},
        "kept": {"path": "/kept", "cache_seconds": 600},
    }
    return hub.http.create_integration(
        name=secrets.token_hex(6),
        base_url=receiver.url,
        operations=operations,
        timeout_seconds=1,
        rate_limit={"limits": [{"limit": 200, "per_seconds": 1, "burst": 200}], "max_concurrent": 4},
        **fields,
    )["id"]


def states(hub: RunningHub, integration: str) -> list[Any]:
    return hub.rows(
        "SELECT e.operation, e.state, e.reason, e.input -> 'path' ->> 'n' AS n FROM hub.execution e"
        " WHERE hub.public_id('int', e.integration_id) = :integration",
        integration=integration,
    )


def settled(hub: RunningHub, integration: str) -> bool:
    return all(row.state not in {"due", "leased"} for row in states(hub, integration))


@pytest.mark.parametrize(("point", "at"), [(point, 1 + number % 2) for number, point in enumerate(POINTS)])
def test_a_worker_that_dies_at_any_link_frees_what_it_held_and_counts_what_it_did(
    hub: RunningHub, receiver: FastReceiver, point: str, at: int
) -> None:
    integration = create(hub, receiver, quota={"calls_per_day": 10_000})
    doomed(hub, point, at)
    for number in range(_COUNT):
        for operation in ("read", "pay"):
            hub.http.execute(integration, operation, {"path": {"n": number}})
        hub.http.execute(integration, "kept", {})
    until(lambda: not hub.processes["doomed"].alive, what=f"its death {point}")
    died_with = len(leased(hub, "execution"))
    hub.drop("doomed")
    hub.start("execute")
    until(lambda: settled(hub, integration), seconds=40, what="the end of all executions")

    rows = states(hub, integration)
    seen = receiver.paths()
    pays = [row for row in rows if row.operation == "pay"]
    assert {row.state for row in rows if row.operation != "pay"} == {"done"}
    assert {row.state for row in pays} <= {"done", "failed"}
    for row in pays:
        calls = seen[f"/pay/{row.n}"]
        # Never twice; not at all only when it is said that nobody knows.
        assert calls == 1 or (calls == 0 and (row.state, row.reason) == ("failed", "interrupted")), row
    assert sum(row.state == "failed" for row in pays) <= died_with
    # One call for all equal ones, and another for each leader that died.
    assert 1 <= seen["/kept"] <= 2
    (used,) = hub.rows(
        "SELECT calls FROM hub.integration_usage WHERE period = 'day' AND hub.public_id('int', integration_id) = :id",
        id=integration,
    )
    made = sum(seen.values())
    print(
        f"{point}: died with {died_with}; {made} calls, {used.calls} counted, {Counter(row.state for row in pays)}"
    )
    # No call is forgotten; one whose worker died may be counted once more.
    assert made <= used.calls <= made + died_with
    slots = [key for key in hub.redis.scan_iter("*hub:limits:slots:*") if hub.redis.zcard(key) > 4]
    assert slots == []


def test_limits_that_lose_their_redis_for_a_while_go_on_afterwards(
    hub: RunningHub, receiver: FastReceiver
) -> None:
    opened = create(hub, receiver)
    closed = hub.http.create_integration(
        name=secrets.token_hex(6),
        base_url=receiver.url,
        operations={"read": {"path": "/closed/{n}"}},
        rate_limit={"limits": [{"limit": 200, "per_seconds": 1}], "on_outage": "closed"},
    )["id"]
    slow = hub.http.create_integration(
        name=secrets.token_hex(6), base_url=receiver.url, operations={"wait": {"path": "/slow/6/wait"}}
    )["id"]
    # A pump that is awake: its bell hangs too.
    hub.http.execute(slow, "wait", {})
    until(lambda: receiver.paths()["/slow/6/wait"] or leased(hub, "execution"), what="a pump that is awake")
    with hub.paused("valkey"):
        for number in range(1, 5):
            hub.http.execute(opened, "read", {"path": {"n": number}})
            hub.http.execute(closed, "read", {"path": {"n": number}})
        until(lambda: settled(hub, opened), what="calls without limits")
        assert not [path for path in receiver.paths() if "closed" in path]
    until(lambda: settled(hub, closed), seconds=30, what="the end of all executions")
    for integration in (opened, closed):
        assert {row.state for row in states(hub, integration)} == {"done"}
    seen = receiver.paths()
    assert all(seen[f"/{what}/{n}"] == 1 for what in ("read", "closed") for n in range(1, 5)), seen
