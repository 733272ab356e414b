"""What one tenant makes the hub work hard for costs the others nothing."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import Any

from hub.core.clock import SystemClock
from hub.flows.announcing import Announcer
from hub.integrations.directory import Directory
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.executions.running import make_runner
from hub.integrations.pipeline.call import Tools
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
    running = threading.Thread(target=pump.run)
    begun = time.monotonic()
    running.start()
    until(lambda: world.read(theirs)["state"] == "done", what="the neighbour's result")
    waited = time.monotonic() - begun
    assert running.is_alive()
    running.join(20)
    # Eight expressions that take 300 ms each stand before the end of the slow one alone.
    assert waited < 1.5
    (ended,) = flows.executions(integration=slow["id"])
    assert ended["state"] == "done"
