"""A deliver worker dies at the worst moments; another one goes on. And what a doorbell can do: wake, nothing else."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from hub.core.ids import Kind, format_id
from tests.acceptance.test_workers import send
from tests.faults.load import UNFINISHED, Load, assert_nothing_lost, leased
from tests.support.fatal_worker import POINTS
from tests.support.receivers import FastReceiver, Inbox
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.faults


@contextmanager
def doomed(hub: RunningHub, point: str, at: int) -> Iterator[None]:
    """In place of the deliver worker, one that dies at a point."""
    hub.stop("deliver")
    child = hub.processes["deliver"].child
    app = _with_fatal_app(list(child.argv))
    fatal = replace(
        child, name="doomed", argv=app, env={**child.env, "FATAL_POINT": point, "FATAL_AT": str(at)}
    )
    hub.add(fatal)
    try:
        yield
    finally:
        hub.drop("doomed")


def _with_fatal_app(argv: list[str]) -> list[str]:
    argv[argv.index("workers.app")] = "tests.support.fatal_worker"
    return argv


@pytest.mark.parametrize(("point", "at"), [(point, 1 + number % 3) for number, point in enumerate(POINTS)])
def test_a_worker_that_dies_at_any_point_loses_nothing_and_repeats_only_what_was_in_flight(
    hub: RunningHub, receiver: FastReceiver, word: str, point: str, at: int
) -> None:
    with Load(hub, word) as load, doomed(hub, point, at):
        until(lambda: not hub.processes["doomed"].alive, what=f"its death {point}")
        in_flight = len(leased(hub, "delivery"))
        sent = sum(receiver.ids().values())
        hub.start("deliver")
        load.wait_for(100)
    print(f"died {point}: {in_flight} were leased, {sent} had been sent")
    assert_nothing_lost(hub, load, receiver, word, in_flight=in_flight)
    if (point, at) == ("amid a fan-out", 1):
        assert sent == 0
        assert set(receiver.ids().values()) == {1}
    assert hub.query("SELECT sum(in_flight) FROM hub.delivery_lane") == 0
    assert hub.query("SELECT count(*) FROM hub.delivery_waiting WHERE due_at < 'infinity'") == 0


@pytest.mark.parametrize("point", POINTS)
def test_a_batch_in_flight_at_a_death_is_repeated_event_by_event(hub: RunningHub, point: str) -> None:
    word = f"t{secrets.token_hex(6)}"
    with Inbox() as inbox:
        hub.http.create_endpoint(
            name=word,
            url=inbox.url,
            event_types=[word],
            retry_policy={"strategy": "fixed", "initial_seconds": 0.2, "max_retries": 20},
            batch={"size": 7, "wait_seconds": 0.2},
        )
        with doomed(hub, point, 1):
            events = [
                one["id"] for one in hub.http.publish_many([{"type": word, "data": n} for n in range(60)])
            ]
            until(lambda: not hub.processes["doomed"].alive, what=f"its death {point}")
        died_with = len(leased(hub, "delivery"))
        hub.start("deliver")
        until(lambda: not hub.query(UNFINISHED, type=word), what="the last completion")
    sent = [[item["id"] for item in json.loads(request.body)] for request in inbox.requests]
    assert max(map(len, sent)) <= 7
    seen = Counter(event for batch in sent for event in batch)
    assert set(seen) == set(events)
    assert sum(seen.values()) - len(seen) <= died_with
    attempts = hub.rows(
        "SELECT hub.public_id('msg', d.message_id) AS event, count(*) AS n,"
        " count(*) FILTER (WHERE a.outcome = 'interrupted') AS interrupted"
        " FROM hub.message m JOIN hub.delivery d ON d.message_id = m.id JOIN hub.attempt a ON a.work_id = d.id"
        " WHERE m.type = :type GROUP BY 1",
        type=word,
    )
    logged = {row.event: row for row in attempts}
    for event in events:
        assert seen[event] <= logged[event].n <= seen[event] + logged[event].interrupted


def test_ordered_events_survive_a_death_too(hub: RunningHub, receiver: FastReceiver) -> None:
    word = f"t{secrets.token_hex(6)}"
    retries = {"strategy": "fixed", "initial_seconds": 0.2, "max_retries": 20}
    hub.http.create_endpoint(
        name=word,
        url=f"{receiver.url}/ok",
        event_types=[word],
        retry_policy=retries,
        max_in_flight=4,
        ordering="strict",
    )
    with doomed(hub, "after sending", 5):
        events = [hub.http.publish(word, {"n": n}, ordering_key=f"k{n % 5}")["id"] for n in range(50)]
        until(lambda: not hub.processes["doomed"].alive, what="its death")
    in_flight = len(leased(hub, "delivery"))
    assert in_flight <= 4
    hub.start("deliver")
    until(lambda: set(receiver.ids()) == set(events), what="every event")
    until(
        lambda: not hub.query("SELECT count(*) FROM hub.delivery WHERE finished_at IS NULL"),
        what="the last completion",
    )
    seen = [one.webhook_id for one in receiver.seen()]
    assert len(seen) - len(set(seen)) <= in_flight
    for key in range(5):
        mine = events[key::5]
        first_seen = sorted(mine, key=seen.index)
        assert first_seen == mine, "the order of a key"


def test_doorbells_that_are_doubled_late_or_forged_send_nothing_twice(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    # Those that nobody answered while workers were dead; each would start a pump that waits a moment for work.
    hub.redis.delete("hub:hub.deliver")
    since = hub.query("SELECT now()")
    task = "hub.deliveries.send"
    strangers = [format_id(Kind.DELIVERY, uuid4()) for _ in range(20)]

    def ring(ids: object) -> None:
        send(hub, "hub.deliver", [[], {"payload": {"ids": ids}}, {}], task=task)

    with Load(hub, word) as load:
        for _ in range(10):
            ring([])
            ring(strangers)
            ring(load.accepted[-5:])
            ring(["' OR 1=1 --", "msg_", ""])
        load.wait_for(200)
        # Forged past what the contract allows: refused on record.
        ring({"all": True})
        ring(["x"] * 100_000)
    assert_nothing_lost(hub, load, receiver, word)
    assert set(receiver.ids().values()) == {1}
    until(
        lambda: (
            hub.query("SELECT count(*) FROM hub.rejected_message WHERE created_at > :since", since=since) >= 2
        ),
        seconds=60,
        what="the refusals",
    )
    states = Counter(row.state for row in hub.rows("SELECT state FROM hub.delivery"))
    assert set(states) == {"done"}
