"""Retries that wait: named by a replay that leaves them alone, made now by one that is asked to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from hub.db.lanes import BREAKER
from hub.webhooks.store import DELIVERIES
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.replay.past import FAST, NOWHERE, Past
from tests.integration.webhooks.world import World

HOURS = [3_600.0, 7_200.0]


@pytest.fixture
def outage(world: World, receiver: Provider) -> UUID:
    """An endpoint whose receiver is away: six deliveries wait an hour for their first retry."""
    endpoint = world.endpoint(receiver.url, retries=HOURS)
    receiver.default = lambda _: Answer(500)
    world.publish(*["{}"] * 6)
    world.deliver()
    assert world.states("state, step, attempt") == [("due", 1, 1)] * 6
    assert waiting(world) == 6
    return endpoint


def waiting(world: World) -> int:
    """Deliveries that are due later."""
    ((count,),) = world.sql("SELECT count(*) FROM hub.delivery WHERE state = 'due' AND due_at > now()")
    found: int = count
    return found


def lines(world: World) -> list[tuple[Any, ...]]:
    """What stands in the lanes' lines: how much, of how many deliveries, and how much of it later."""
    return world.sql(
        "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE due_at > now()) FROM hub.delivery_waiting"
    )


def test_what_waits_is_named_and_left_alone_unless_it_is_asked_for(
    world: World, past: Past, outage: UUID
) -> None:
    failed = past.world.endpoint(NOWHERE, "failed")
    tally = past.dry_run()
    assert (tally.counts.total(), tally.waiting, tally.scanned) == (0, 6, 6)
    job = past.job(past.replay())
    past.run()
    job = past.job(job.id)
    assert (job.state, job.scanned, job.selected, job.requeued, job.waiting) == ("done", 6, 0, 0, 6)
    assert waiting(world) == 6
    asked = past.dry_run(states=["failed", "due"])
    assert (asked.counts, asked.waiting) == ({(outage, "due"): 6}, 0)
    assert waiting(world) == 6
    assert failed not in {endpoint for endpoint, _ in asked.counts}


def test_retries_that_wait_are_made_now_and_no_step_is_burned_or_skipped(
    world: World, past: Past, outage: UUID, receiver: Provider
) -> None:
    job = past.replay(states=["due"])
    past.run()
    row = past.job(job)
    assert (row.state, row.selected, row.requeued, row.waiting) == ("done", 6, 6, 0)
    assert waiting(world) == 0
    assert world.states("state, step, attempt, replay_no") == [("due", 1, 1, 0)] * 6
    assert lines(world) == [(6, 6, 0)]
    world.deliver()
    # The first retry was made early, and failed: the second one comes when the schedule says.
    assert world.states("state, step, attempt") == [("due", 2, 2)] * 6
    assert world.sql(
        "SELECT count(*) FROM hub.delivery WHERE due_at BETWEEN now() + interval '7100 s' AND now() + interval '7950 s'"
    ) == [(6,)]
    receiver.default = lambda _: Answer(200)
    past.replay(states=["due"])
    past.run()
    world.deliver()
    assert world.states("state, attempt, replay_no") == [("done", 3, 0)] * 6
    assert len(receiver.calls) == 18
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 6


def test_they_go_together_with_what_failed(world: World, past: Past, outage: UUID) -> None:
    world.sql(
        "UPDATE hub.delivery SET state = 'failed', finished_at = now() WHERE id IN"
        " (SELECT id FROM hub.delivery ORDER BY id LIMIT 2)"
    )
    world.sql(
        "DELETE FROM hub.delivery_waiting WHERE id IN (SELECT id FROM hub.delivery WHERE state = 'failed')"
    )
    past.replay(endpoint=outage, states=["failed", "due"])
    past.run()
    assert world.states("state, replay_no") == [("due", 1)] * 2 + [("due", 0)] * 4
    assert lines(world) == [(6, 6, 0)]


def test_what_is_leased_or_due_already_is_left_alone(world: World, past: Past, outage: UUID) -> None:
    world.sql(
        "UPDATE hub.delivery SET due_at = now() WHERE id = (SELECT min(id::text)::uuid FROM hub.delivery)"
    )
    world.sql(
        "UPDATE hub.delivery_waiting SET due_at = d.due_at FROM hub.delivery d"
        " WHERE d.id = delivery_waiting.id AND d.due_at <= now()"
    )
    world.sql("UPDATE hub.delivery_lane SET wake_at = now()")
    (leased,), _ = world.source().claim(100)
    world.sql(
        "UPDATE hub.delivery SET due_at = now() - interval '1 minute'"
        " WHERE id = (SELECT max(id::text)::uuid FROM hub.delivery)"
    )
    before = world.states("id, state, fence, lease_owner")
    job = past.replay(states=["due"])
    past.run()
    assert (past.job(job).scanned, past.job(job).requeued) == (6, 4)
    assert world.states("id, state, fence, lease_owner") == before
    assert [row[0] for row in before if row[1] == "leased"] == [leased.id]


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_what_is_for_an_endpoint_that_a_person_holds_waits_for_that_person(
    world: World, past: Past, outage: UUID, status: str
) -> None:
    world.change(outage, status=status)
    tally = past.dry_run(states=["due"])
    assert (tally.counts.total(), tally.waiting, tally.scanned) == (0, 0, 6)
    job = past.replay(states=["due"])
    past.run()
    assert (past.job(job).state, past.job(job).requeued) == ("done", 0)
    assert waiting(world) == 6


def test_behind_an_open_breaker_they_are_due_as_soon_as_it_closes(
    world: World, past: Past, outage: UUID
) -> None:
    with world.engine.begin() as conn:
        assert DELIVERIES.hold(conn, outage, BREAKER, seconds=600)
    past.replay(states=["due"])
    past.run()
    assert waiting(world) == 0
    assert world.source().claim(100)[0] == []
    with world.engine.begin() as conn:
        assert DELIVERIES.release(conn, outage, only=BREAKER)
    assert len(world.source().claim(100)[0]) == 6


def test_the_order_of_a_key_is_kept(world: World, past: Past, receiver: Provider) -> None:
    world.endpoint(receiver.url, ordering="strict", retries=HOURS)
    receiver.default = lambda _: Answer(500)
    world.publish(*["{}"] * 3, ordering_key="a")
    world.deliver()
    assert world.states("attempt") == [(1,), (0,), (0,)]
    past.replay(states=["due"])
    past.run()
    assert lines(world) == [(1, 1, 0)]
    world.deliver()
    assert world.states("attempt") == [(2,), (0,), (0,)]


def test_rate_pause_and_cancel_hold_for_them_too(world: World, past: Past, outage: UUID) -> None:
    job = past.replay(states=["due"], rate=1)
    workers = past.runner()
    world.sql("UPDATE hub.replay SET tokens = 2, refilled_at = now()")
    assert workers.step() == 2
    assert waiting(world) == 4
    assert 0 < past.job(job).fraction < 1
    past.steer(job, "paused")
    world.sql("UPDATE hub.replay SET due_at = now(), tokens = 2")
    assert workers.step() is None
    past.steer(job, "running")
    assert workers.step() == 2
    past.steer(job, "cancelled")
    world.sql("UPDATE hub.replay SET due_at = now(), tokens = 2")
    assert workers.step() is None
    assert waiting(world) == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response": ["500"]}, 6),
        ({"response": ["none"]}, 0),
        ({"event_types": ["invoice.*"]}, 6),
        ({"event_types": ["other.*"]}, 0),
        ({"filter": {"type": "invoice.paid"}}, 6),
        ({"filter": {"type": "other"}}, 0),
    ],
    ids=["response", "other-response", "type", "other-type", "filter", "other-filter"],
)
def test_conditions_choose_among_them(
    past: Past, outage: UUID, fields: dict[str, Any], expected: int
) -> None:
    assert past.dry_run(**fields).waiting == expected
    assert past.dry_run("filter", states=["due"], **fields).counts.total() == expected


def test_what_was_accepted_at_another_time_is_left_alone(past: Past, outage: UUID) -> None:
    job = past.read(states=["due"], rate=FAST)
    earlier = {"since": job["since"] - timedelta(hours=3), "until": job["since"] - timedelta(hours=1)}
    assert past.dry_run(states=["due"], **earlier).scanned == 0
