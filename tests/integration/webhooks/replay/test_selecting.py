"""What each kind of replay sends again, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import standardwebhooks

from hub.webhooks.replay import event_scan
from hub.webhooks.replay.pages import MISSING
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.replay.past import NOWHERE, Past, message_ids
from tests.integration.webhooks.world import World


def test_what_failed_is_delivered_with_the_same_webhook_id_and_bytes(
    world: World, past: Past, receiver: Provider
) -> None:
    endpoint = world.endpoint(receiver.url, retries=[])
    receiver.default = lambda _: Answer(500)
    receipts = world.publish('{"n": 1.0}', '{"n": 2.0}', ids=[None, "mine"])
    world.deliver()
    assert world.states("state, replay_no") == [("failed", 0)] * 2
    receiver.default = lambda _: Answer(200)
    job = past.replay(endpoint=endpoint)
    past.run()
    assert (past.job(job).state, past.job(job).requeued) == ("done", 2)
    world.deliver()
    assert world.states("state, replay_no") == [("done", 1)] * 2
    first, second = receiver.calls[:2], receiver.calls[2:]
    assert {call.headers["webhook-id"] for call in second} == {receipts[0].id, "mine"}
    assert sorted(call.body for call in first) == sorted(call.body for call in second)
    for call in second:
        standardwebhooks.Webhook(world.secrets[endpoint].reveal()).verify(call.body, call.headers)


def test_only_what_failed_in_the_time_to_the_endpoint_goes(world: World, past: Past) -> None:
    one, two = world.endpoint(NOWHERE, "one"), world.endpoint(NOWHERE, "two")
    old = past.age(past.events(2), 3)
    failed = past.events(3)
    past.events(2, state="done")
    past.replay(endpoint=one)
    past.run()
    assert past.due(one) == failed
    assert past.due(two) == []
    past.replay()
    past.run()
    assert past.due(two) == failed
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    past.replay(endpoint=one, since=now - 4 * hour, until=now - 2 * hour)
    past.run()
    assert past.due(one) == [*old, *failed]
    assert past.due(two) == failed


def test_other_ends_go_when_they_are_asked_for(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    ids = {state: past.events(1, state=state) for state in ("failed", "cancelled", "skipped", "done")}
    past.replay(states=["cancelled", "skipped"])
    past.run()
    assert past.due() == ids["cancelled"] + ids["skipped"]
    past.replay("filter", states=["done"])
    past.run()
    assert past.due() == ids["cancelled"] + ids["skipped"] + ids["done"]


def test_what_a_filter_skipped_goes_only_if_it_takes_it_now(world: World, past: Past) -> None:
    endpoint = world.endpoint(NOWHERE, filter={"data.n": {"$gt": 5}})
    wanted, _ = past.events(1, data='{"n": 3}')[0], past.events(1, data='{"n": 1}')[0]
    assert world.states() == [("skipped", "filtered")] * 2
    past.replay(states=["skipped"])
    past.run()
    assert past.due() == []
    world.change(endpoint, filter={"data.n": {"$gt": 2}})
    past.replay(states=["skipped"])
    past.run()
    assert past.due() == [wanted]


def test_missing_makes_exactly_the_deliveries_that_are_missing(world: World, past: Past) -> None:
    early = world.endpoint(NOWHERE, "early", event_types=["a.*"])
    before = past.events(3, state="done", type_="a.x")
    nowhere = past.events(2, type_="b.x")
    late = world.endpoint(NOWHERE, "late", event_types=["*"])
    both = past.events(2, state="done", type_="a.y")
    job = past.replay("missing")
    past.run()
    assert past.due(late) == before + nowhere
    assert past.due(early) == []
    assert past.job(job).requeued == 5
    assert world.sql("SELECT count(*) FROM hub.delivery") == [(3 + 2 + 2 * 2 + 3,)]
    assert world.sql("SELECT count(*) FROM hub.message WHERE reason IS NOT NULL") == [(0,)]
    again = past.replay("missing")
    past.run()
    assert (past.job(again).state, past.job(again).selected) == ("done", 0)
    assert set(both).isdisjoint(past.due())


def test_what_was_made_is_delivered_once_like_any_other(world: World, past: Past, receiver: Provider) -> None:
    (receipt,) = world.publish("{}")
    past.fan_out()
    endpoint = world.endpoint(receiver.url)
    past.replay("missing", endpoint=endpoint)
    past.run()
    world.deliver()
    assert [call.headers["webhook-id"] for call in receiver.calls] == [receipt.id]
    assert world.states("state, attempt, replay_no") == [("done", 1, 0)]


def test_missing_asks_labels_and_filter_of_the_endpoint_as_they_are_now(world: World, past: Past) -> None:
    plain = past.events(1, data='{"n": 1}')
    fits = past.events(1, data='{"n": 9}', labels=["eu"])
    past.events(1, data='{"n": 9}', labels=["us"])
    past.events(1, data='{"n": 1}', labels=["eu"])
    endpoint = world.endpoint(NOWHERE, labels=["eu"], filter={"data.n": {"$gte": 9}})
    past.replay("missing")
    past.run()
    assert past.due(endpoint) == fits
    world.change(endpoint, labels=[], filter=None)
    past.replay("missing", filter={"data.n": 1}, endpoint=endpoint)
    past.run()
    assert past.due(endpoint)[:1] == plain
    assert len(past.due(endpoint)) == 3


def test_what_is_not_to_be_sent_is_not_missing(world: World, past: Past) -> None:
    expired = past.events(1, expires_at=datetime.now(UTC) + timedelta(hours=1))
    world.sql("UPDATE hub.message SET expires_at = now() - interval '1 s' WHERE id = ANY (:ids)", ids=expired)
    refused = past.events(1)
    world.sql("UPDATE hub.message SET reason = 'schema_invalid' WHERE id = ANY (:ids)", ids=refused)
    world.endpoint(NOWHERE)
    message_ids(world, "{}", deliver_at=datetime.now(UTC) + timedelta(hours=1))
    message_ids(world, "{}")  # nobody has fanned it out yet
    past.replay("missing")
    past.run()
    assert past.due() == []
    past.fan_out()
    assert world.sql("SELECT count(*) FROM hub.delivery") == [(1,)]


def test_operational_events_are_for_endpoints_of_operations_only(world: World, past: Past) -> None:
    ids = past.events(1)
    world.sql("UPDATE hub.message SET source = 'hub' WHERE id = ANY (:ids)", ids=ids)
    world.endpoint(NOWHERE, "events")
    operations = world.endpoint(NOWHERE, "operations", kind="operations")
    past.replay("missing")
    past.run()
    assert past.due() == past.due(operations) == ids


def test_an_event_for_many_endpoints_goes_in_steps(
    world: World, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_scan, "_PAIRS", 4)
    past.events(5)
    endpoints = [world.endpoint(NOWHERE, f"e{n}") for n in range(7)]
    job = past.replay("missing", rate=1000)
    assert past.run().steps >= 9
    assert past.job(job).requeued == 35
    assert [len(past.due(endpoint)) for endpoint in endpoints] == [5] * 7


def test_all_sends_again_what_was_done_and_makes_what_is_missing(world: World, past: Past) -> None:
    one = world.endpoint(NOWHERE, "one", event_types=["a.*"])
    done = past.events(2, state="done", type_="a.x")
    other = past.events(1, type_="b.x")
    two = world.endpoint(NOWHERE, "two")
    job = past.replay("all")
    past.run()
    assert (past.due(one), past.due(two)) == (done, done + other)
    assert past.job(job).requeued == 5
    # What waits now is on its way already.
    again = past.replay("all")
    past.run()
    assert past.job(again).selected == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"event_types": ["a.*"]}, {0, 1}, id="types"),
        pytest.param({"labels": ["eu"]}, {0, 2}, id="labels"),
        pytest.param({"filter": {"data.n": {"$in": [1, 2]}}}, {1, 2}, id="payload"),
        pytest.param({"filter": {"type": "b.y"}}, {2, 3}, id="envelope"),
        pytest.param({"event_types": ["b.y"], "labels": ["us"]}, {3}, id="both"),
        pytest.param({"response": ["5xx"]}, {0}, id="class"),
        pytest.param({"response": ["404", "none"]}, {1, 2}, id="exact-or-none"),
    ],
)
def test_filters_choose_by_event_and_answer(
    world: World, past: Past, fields: dict[str, Any], expected: set[int]
) -> None:
    world.endpoint(NOWHERE)
    ids: list[UUID] = []
    for n, (type_, label) in enumerate([("a.x", "eu"), ("a.y", "us"), ("b.y", "eu"), ("b.y", "us")]):
        ids += past.events(1, data=f'{{"n": {n}}}', type_=type_, labels=[label])
    for message_id, status in zip(ids, (503, 404, None), strict=False):
        for at, code in ((0, 200), (1, status)):  # the last one counts
            world.sql(
                "INSERT INTO hub.attempt (id, work_id, tenant_id, kind, number, fence, started_at, outcome, status)"
                " SELECT hub.uuid7(), id, tenant_id, 'delivery', :at, :at, now(), 'failed', :code"
                " FROM hub.delivery WHERE message_id = :message",
                at=at, code=code, message=message_id,
            )  # fmt: skip
            world.sql("SELECT pg_sleep(0.002)")  # ids are ordered by the millisecond
    tally = past.dry_run("filter", **fields)
    past.replay("filter", **fields)
    past.run()
    assert {ids.index(one) for one in past.due()} == expected
    assert tally.counts.total() == len(expected)


@pytest.mark.parametrize("kind", ["failed", "missing", "all"])
def test_a_dry_run_counts_what_is_done_and_writes_nothing(world: World, past: Past, kind: str) -> None:
    one = world.endpoint(NOWHERE, "one")
    past.events(4)
    past.events(3, state="done")
    two = world.endpoint(NOWHERE, "two")
    before = world.sql("SELECT * FROM hub.delivery ORDER BY id")
    tally = past.dry_run(kind)
    assert world.sql("SELECT * FROM hub.delivery ORDER BY id") == before
    assert tally.complete
    expected = {
        "failed": {(one, "failed"): 4},
        "missing": {(two, MISSING): 7},
        "all": {(one, "failed"): 4, (one, "done"): 3, (two, MISSING): 7},
    }[kind]
    assert tally.counts == expected
    job = past.replay(kind)
    past.run()
    assert past.job(job).selected == past.job(job).requeued == tally.counts.total() == len(past.due())
    assert past.job(job).scanned == tally.scanned
    assert len(tally.sample) == tally.counts.total()
