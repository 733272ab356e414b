"""The leading beat and a worker die together: the sweep that finds the worker's rows is started by the successor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.load import Load, assert_nothing_lost, leased
from tests.support.receivers import FastReceiver
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.faults

#: HUB_LEADER_LEASE_SECONDS of the test hub, and what a takeover may take on top.
_TAKEOVER = 5 + 5


def test_another_beat_takes_over_and_nothing_is_lost(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    first = hub.leader
    hub.add(replace(hub.processes["beat"].child, name="beat-2"))
    with Load(hub, word) as load:
        load.wait_for(200)
        until(lambda: len(leased(hub, "delivery")) > 5, what="calls in flight")
        hub.kill("beat")
        hub.kill("deliver")
        in_flight = len(leased(hub, "delivery"))
        hub.start("deliver")
        until(lambda: hub.leader not in {None, first}, seconds=_TAKEOVER, what="another leader")
    assert_nothing_lost(hub, load, receiver, word, in_flight=in_flight)
    doubled = hub.query(
        "SELECT count(*) FROM (SELECT 1 FROM hub.tick GROUP BY name, scheduled_for HAVING count(*) > 1) AS twice"
    )
    assert doubled == 0
