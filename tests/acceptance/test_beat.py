"""Two beats: one leads, each due moment starts once, and the other takes over."""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.embedded.process import Process
from hub.queue.contracts import Queue
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance

#: HUB_LEADER_LEASE_SECONDS of the test hub, and what a takeover may take on top.
_LEASE = 5
_TAKEOVER = _LEASE + 5


@pytest.fixture
def second_beat(hub: RunningHub) -> Iterator[Process]:
    """Another beat beside the hub's own."""
    until(lambda: leader_pid(hub) == hub.processes["beat"].pid, what="the lead of the hub's own beat")
    process = hub.add(replace(hub.processes["beat"].child, name="beat-2"))
    until(lambda: "Starting" in hub.log("beat-2"), what="the second beat")
    yield process
    hub.stop("beat-2")
    del hub.processes["beat-2"]
    if not hub.processes["beat"].alive:
        hub.start("beat")


def leader_pid(hub: RunningHub) -> int:
    leader = hub.leader
    return int(leader.split(":")[1]) if leader else 0


def queued_ticks(hub: RunningHub) -> list[tuple[str, datetime]]:
    """What beat has put into the queue of the system worker, which does not run meanwhile."""
    ticks = []
    for raw in hub.redis.lrange(f"hub:{Queue.SYSTEM.value}", 0, -1):
        message = json.loads(raw)
        _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        if "scheduled_for" in kwargs["payload"]:
            at = datetime.fromisoformat(kwargs["payload"]["scheduled_for"]).astimezone(UTC)
            ticks.append((message["headers"]["task"], at))
    return ticks


def started_ticks(hub: RunningHub, since: datetime) -> list[Any]:
    return hub.rows(
        "SELECT name, scheduled_for, owner FROM hub.tick WHERE scheduled_for > :since ORDER BY scheduled_for",
        since=since,
    )


def test_with_two_beats_each_due_moment_is_sent_once(hub: RunningHub, second_beat: Process) -> None:
    with hub.stopped("system"):
        hub.redis.delete(f"hub:{Queue.SYSTEM.value}")
        since = hub.query("SELECT now()")
        until(lambda: len(queued_ticks(hub)) >= 12, what="twelve ticks")
        sent = [tick for tick in queued_ticks(hub) if tick[1] > since]
        # A tick is sent before its row is committed: the last one's row may follow its message.
        until(
            lambda: {(row.name, row.scheduled_for) for row in started_ticks(hub, since)} >= set(sent),
            what="the rows of the ticks that were sent",
        )
        started = started_ticks(hub, since)
        assert second_beat.alive
    assert max(Counter(sent).values()) == 1
    assert len({row.owner for row in started}) == 1, "one of them leads"
    sweeps = sorted(at for name, at in sent if name == "hub.ledger.sweep")
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(sweeps)]
    assert set(gaps) == {0.5}, "none is left out"


def test_when_the_leader_is_killed_the_other_takes_over(hub: RunningHub, second_beat: Process) -> None:
    first = leader_pid(hub)
    names = {hub.processes[name].pid: name for name in ("beat", "beat-2")}
    hub.kill(names[first])
    died = hub.query("SELECT now()")
    until(lambda: leader_pid(hub) not in {0, first}, seconds=_TAKEOVER, what="another leader")
    assert leader_pid(hub) in names
    until(
        lambda: hub.leader in {row.owner for row in started_ticks(hub, died)},
        seconds=5,
        what="a tick of the new leader",
    )


def test_a_leader_that_ends_in_good_order_hands_over_at_once(hub: RunningHub, second_beat: Process) -> None:
    owner, first = hub.leader, leader_pid(hub)
    names = {hub.processes[name].pid: name for name in ("beat", "beat-2")}
    hub.stop(names[first])
    # Its lease is gone with it and not left to lapse; the others look every second.
    assert hub.query("SELECT count(*) FROM hub.leader WHERE owner = :owner", owner=owner) == 0
    until(lambda: leader_pid(hub) not in {0, first}, what="another leader")


def test_a_leader_that_hangs_does_not_tick_beside_its_successor(
    hub: RunningHub, second_beat: Process
) -> None:
    first = leader_pid(hub)
    names = {hub.processes[name].pid: name for name in ("beat", "beat-2")}
    with hub.paused(names[first]):
        until(lambda: leader_pid(hub) not in {0, first}, seconds=_TAKEOVER, what="another leader")
        successor = hub.leader
    woke = hub.query("SELECT now()")
    until(lambda: len(started_ticks(hub, woke)) >= 8, what="ticks after the pause")
    assert hub.leader == successor
    # A tick of the moment of waking may still be the old one's; it holds no lease for any other.
    owners = Counter(row.owner for row in started_ticks(hub, woke))
    assert owners[successor] >= sum(owners.values()) - 1
