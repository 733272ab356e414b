"""What one tenant makes the hub work hard for costs the others nothing."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest

from hub.core.clock import SystemClock
from hub.core.ids import new_uuid
from hub.flows.announcing import Announcer
from hub.integrations.directory import Directory
from hub.integrations.executions import pump as claiming
from hub.integrations.executions import running
from hub.integrations.executions.claim_store import claim_of, waiting_integrations
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.executions.running import make_runner
from hub.integrations.executions.store import NewExecution, insert_executions
from hub.integrations.pipeline.call import Tools
from hub.integrations.transports.http import RestTransport
from hub.integrations.transports.interface import Prepared
from hub.net.outcome import Outcome
from hub.net.session import GuardedSession
from hub.queue.contracts import TaskName
from hub.queue.pump import Pump
from tests.integration.flows.test_flows import Flows
from tests.integration.integrations.provider import Answer, Provider, serving_provider
from tests.integration.integrations.world import LEASE, World
from tests.support.waiting import until

#: Takes as long as it may.
ENDLESS = {"jsonata": "$reduce([1..9999999], function($a, $b){$a + $b})"}


def as_a_worker(world: World, *, reserve: int = 0, crowd: int | None = None) -> Pump[Any, Any]:
    """A pump that is put together as `workers.tasks.run_executions` does it."""
    announcer = Announcer(world.sandbox, world.bell.ring)
    source = ExecutionSource(
        world.engine, Directory(world.services.vault), clock=SystemClock(), rng=Random(1), owner="worker",
        lease=LEASE, crowd=crowd, announce=announcer.announce, teller=announcer,
    )  # fmt: skip
    tools = Tools(GuardedSession(world.services.policy), world.sandbox)
    runner = make_runner(tools, SystemClock(), capacity=8 + reserve, lease=LEASE, finish=source.finish)
    return Pump(
        TaskName.EXECUTIONS_RUN, source, runner, world.bell, capacity=8, reserve=reserve, slice_seconds=20,  # type: ignore[arg-type]
        linger=0.0, grace=0.0, stopping=lambda: False,
    )  # fmt: skip


def test_what_a_flow_publishes_is_made_where_nobody_waits_for_it(world: World, provider: Provider) -> None:
    flows = Flows(world)
    slow = world.create(provider.url, name="slow")
    rules = [{"on": "ended", "event_type": f"told.n{n}", "mapping": [ENDLESS]} for n in range(10)]
    flows.create(slow["id"], publish=rules)
    for _ in range(3):
        flows.publish()
    flows.source.claim(100)
    theirs = world.execute(world.create(provider.url, name="quick")["id"])
    pump = as_a_worker(world)
    serving = threading.Thread(target=pump.run)
    begun = time.monotonic()
    serving.start()
    until(lambda: world.read(theirs)["state"] == "done", what="the neighbour's result")
    waited = time.monotonic() - begun
    assert serving.is_alive()
    serving.join(20)
    # Thirty expressions that take 300 ms each stand before the ends of the slow ones alone.
    assert waited < 6
    assert [one["state"] for one in flows.executions(integration=slow["id"])] == ["done"] * 3


class Stuck(RestTransport):
    """Forgets its deadline."""

    def __init__(self, gate: threading.Event, *, before: bool) -> None:
        self.gate, self.before, self.sent = gate, before, 0

    def prepare(self, *args: Any, **options: Any) -> Prepared:
        if self.before:
            self.gate.wait(30)
        return super().prepare(*args, **options)

    def send(self, *args: Any) -> Outcome:
        self.sent += 1
        if not self.before:
            self.gate.wait(30)
        return super().send(*args)


@pytest.mark.parametrize("operation", ["get_user", "make_user"])
@pytest.mark.parametrize("before", [True, False], ids=["before-the-call", "in-the-call"])
def test_a_transport_that_hangs_holds_up_neither_the_pump_nor_what_is_known_of_its_call(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch, operation: str, before: bool
) -> None:
    gate = threading.Event()
    stuck = Stuck(gate, before=before)
    monkeypatch.setattr(running, "_PATIENCE", 0.02)
    source = world.source()
    session = GuardedSession(world.services.policy)
    runner = make_runner(Tools(session, world.sandbox), SystemClock(), capacity=4, lease=LEASE)
    made = world.create(provider.url, name="stuck")
    given = {"path": {"id": 1}} if operation == "get_user" else {"body": {}}
    execution = world.execute(made["id"], operation, **given)
    (job,), _ = source.claim(10)
    assert job.target is not None
    job.target = replace(job.target, transport=stuck)
    runner.add(job)
    results: list[Any] = []
    while not results:
        results = runner.poll(0.1)
    source.record(results)()
    detail = world.read(execution)
    if before or operation == "get_user":
        assert detail["state"] == "due"
    else:
        assert (detail["state"], detail["reason"]) == ("failed", "not_repeatable")
    gate.set()
    assert detail["attempt_log"][0]["error_class"] == ("internal" if before else "timeout")
    until(lambda: not runner._left_behind, what="the end of the late thread")
    # What comes to itself late sends nothing that was given back.
    assert stuck.sent == (0 if before else 1)
    assert provider.calls == []
    session.close()


def test_a_slow_service_with_a_long_queue_does_not_hold_up_the_executions_of_others(
    world: World, provider: Provider
) -> None:
    gate = threading.Event()
    with serving_provider() as quick:
        provider.default = lambda _call: Answer(200, b"{}", gate=gate)
        slow = world.create(provider.url, name="slow")
        items = [{"operation": "get_user", "input": {"path": {"id": n}}} for n in range(60)]
        world.call("POST", f"/integrations/{slow['id']}/execute-batch", json={"items": items})
        serving = threading.Thread(target=as_a_worker(world, reserve=4, crowd=4).run)
        serving.start()
        until(lambda: len(provider.calls) == 8, what="a worker that is full")
        fine = world.create(quick.url, name="quick")
        theirs = [world.execute(fine["id"]) for _ in range(12)]
        until(
            lambda: {world.read(one)["state"] for one in theirs} == {"done"}, what="the neighbour's results"
        )
        assert len(provider.calls) == 8, "the reserve is for others"
        gate.set()
        serving.join(20)
    states = world.sql("SELECT state, count(*) FROM hub.execution GROUP BY 1")
    assert [tuple(row) for row in states] == [("done", 72)]


def test_what_waits_behind_a_crowd_is_found_however_many_rows_the_crowd_has(world: World) -> None:
    ids = [new_uuid() for _ in range(5)]
    with world.engine.begin() as conn:
        for one in ids:
            insert_executions(conn, world.tenant_id, "http", [
                NewExecution(new_uuid(), one, "get_user", "{}") for _ in range(300 if one == ids[0] else 3)
            ])  # fmt: skip
        assert waiting_integrations(conn, after=UUID(int=0), limit=10) == ids
        assert waiting_integrations(conn, after=ids[1], limit=2) == ids[2:4]
        rows = claim_of(conn, ids[1:], owner="worker", limit=7, each=2, max_bytes=1_000_000, lease=60)
        assert len(rows) == 7
        assert {row.integration_id for row in rows} == set(ids[1:])
        assert all((row.fence, row.attempt, row.input) == (1, 1, "{}") for row in rows)


def test_large_inputs_are_claimed_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "_MAX_BYTES", 10_000)
    integration = world.create("http://127.0.0.1:9", name="large", operations={"op": {"path": "/"}})
    of = UUID(hex=integration["id"].removeprefix("int_"))
    text = json.dumps({"body": "x" * 4_000})
    with world.engine.begin() as conn:
        insert_executions(conn, world.tenant_id, "http", [
            NewExecution(new_uuid(), of, "op", text) for _ in range(6)
        ])  # fmt: skip
    source = world.source()
    claims = [source.claim(100) for _ in range(3)]
    # Of what is too large for all of the room one is taken at a time.
    assert [len(jobs) for jobs, _ in claims] == [2, 1, 0]
    assert claims[-1] == ([], False), "nothing more is to be looked for until there is room"
    for jobs, _ in claims[:2]:
        source.hand_back(jobs)()
    assert len(source.claim(100)[0]) == 2
