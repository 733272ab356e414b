"""What one tenant makes the hub work hard for costs the others nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from hub.core.clock import SystemClock
from hub.flows.announcing import Announcer
from hub.integrations.directory import Directory
from hub.integrations.executions import running
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.executions.running import make_runner
from hub.integrations.pipeline.call import Tools
from hub.integrations.transports.http import RestTransport
from hub.integrations.transports.interface import Prepared
from hub.net.outcome import Outcome
from hub.net.session import GuardedSession
from hub.queue.contracts import TaskName
from hub.queue.pump import Pump
from tests.integration.flows.test_flows import Flows
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import LEASE, World
from tests.support.waiting import until

#: Takes as long as it may.
ENDLESS = {"jsonata": "$reduce([1..9999999], function($a, $b){$a + $b})"}


def as_a_worker(world: World) -> Pump[Any, Any]:
    """A pump that is put together as `workers.tasks.run_executions` does it."""
    announcer = Announcer(world.sandbox, world.bell.ring)
    source = ExecutionSource(
        world.engine, Directory(world.services.vault), clock=SystemClock(), rng=Random(1), owner="worker",
        lease=LEASE, announce=announcer.announce, teller=announcer,
    )  # fmt: skip
    tools = Tools(GuardedSession(world.services.policy), world.sandbox)
    runner = make_runner(tools, SystemClock(), capacity=8, lease=LEASE, finish=source.finish)
    return Pump(
        TaskName.EXECUTIONS_RUN, source, runner, world.bell, capacity=8, slice_seconds=20,  # type: ignore[arg-type]
        linger=0.0, grace=0.0, stopping=lambda: False,
    )  # fmt: skip


def test_what_a_flow_publishes_is_made_where_nobody_waits_for_it(world: World, provider: Provider) -> None:
    flows = Flows(world)
    slow = world.create(provider.url, name="slow")
    rules = [{"on": "ended", "event_type": f"told.n{n}", "mapping": [ENDLESS]} for n in range(8)]
    flows.create(slow["id"], publish=rules)
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
    # Eight expressions that take 300 ms each stand before the end of the slow one alone.
    assert waited < 1.5
    (ended,) = flows.executions(integration=slow["id"])
    assert ended["state"] == "done"


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
