"""What a receiver may say, and what a publisher may say beforehand: controls, expiry, schedule, labels; what is kept."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.db.states import State
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World


def due_in(world: World) -> float:
    """Seconds until the only delivery is due."""
    ((seconds,),) = world.sql("SELECT extract(epoch FROM due_at - now())::float8 FROM hub.delivery")
    return float(seconds)


# -- the receiver -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 500])
def test_a_receiver_may_end_the_attempts_at_one_event(world: World, receiver: Provider, status: int) -> None:
    world.endpoint(receiver.url, retries=[1, 1])
    receiver.script = [Answer(status, headers={"webhook-delivery": "abort-message"})]
    world.publish("1")
    world.deliver()
    assert world.states() == [("failed", "aborted_by_receiver")]
    world.publish("2")
    world.deliver()
    assert world.states("state") == [("failed",), ("done",)]


@pytest.mark.parametrize(("status", "state"), [(200, "done"), (500, "failed")])
def test_a_receiver_may_disable_its_endpoint(
    world: World, receiver: Provider, status: int, state: str
) -> None:
    world.endpoint(receiver.url)
    receiver.default = lambda _: Answer(status, headers={"webhook-delivery": "disable"})
    world.publish("1")
    world.deliver()
    world.publish("2")
    world.deliver()
    assert len(receiver.calls) == 1
    assert world.sql("SELECT status, status_reason FROM hub.endpoint") == [("disabled", "by_receiver")]
    assert [one for one, _ in world.seen_states()] == [state, "held"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_may_ask_to_be_called_later(world: World, receiver: Provider, status: int) -> None:
    world.endpoint(receiver.url, retries=[5])
    receiver.script = [Answer(status, headers={"Retry-After": "600"})]
    world.publish("1")
    world.deliver()
    assert 590 < due_in(world) <= 600
    world.let_pass(500)
    world.deliver()
    assert len(receiver.calls) == 1
    world.let_pass(101)
    world.deliver()
    assert world.states("state") == [("done",)]


def test_a_receiver_cannot_ask_for_more_than_a_day(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, retries=[5])
    receiver.script = [Answer(503, headers={"Retry-After": "9999999"})]
    world.publish("1")
    world.deliver()
    assert due_in(world) <= 86_400


# -- the publisher ----------------------------------------------------------------------------------------------------


def test_an_event_that_expired_before_it_was_fanned_out_goes_nowhere(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url)
    world.publish("1", expires_at=datetime.now(UTC) + timedelta(seconds=30))
    world.let_pass(31)
    world.deliver()
    assert receiver.calls == []
    assert world.message_states() == [("expired", "expired")]
    assert world.states() == []


def test_a_delivery_that_waits_for_too_long_expires(world: World, receiver: Provider) -> None:
    endpoint = world.endpoint(receiver.url, retries=[60, 60])
    receiver.script = [Answer(500)]
    world.publish("1", expires_at=datetime.now(UTC) + timedelta(seconds=100))
    world.deliver()
    world.let_pass(70)
    world.change(endpoint, status="paused")
    world.let_pass(31)
    world.change(endpoint, status="active")
    world.deliver()
    assert len(receiver.calls) == 1
    assert world.states("state, reason, attempt") == [("expired", "event_expired", 1)]


def test_a_delivery_whose_next_attempt_would_come_too_late_is_over_at_once(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url, retries=[60])
    receiver.script = [Answer(500)]
    world.publish("1", expires_at=datetime.now(UTC) + timedelta(seconds=30))
    world.deliver()
    assert world.states("state, reason, attempt") == [("expired", "event_expired", 1)]
    assert world.sql("SELECT status FROM hub.attempt") == [(500,)]


def test_an_event_of_a_key_that_expired_is_in_nobodys_way(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, ordering="strict", retries=[60])
    receiver.script = [Answer(500)]
    world.publish("1", ordering_key="k", expires_at=datetime.now(UTC) + timedelta(seconds=50))
    world.publish("2", ordering_key="k")
    world.deliver()
    world.let_pass(70)
    for _ in range(2):
        world.deliver()
    assert [json.loads(call.body)["data"] for call in receiver.calls] == [1, 2]
    assert world.states("state") == [("expired",), ("done",)]


def test_an_event_for_later_is_fanned_out_then_and_to_who_is_there_then(
    world: World, receiver: Provider
) -> None:
    world.publish("1", deliver_at=datetime.now(UTC) + timedelta(hours=1))
    world.deliver()
    assert world.message_states() == [("scheduled", None)]
    world.endpoint(receiver.url)
    world.let_pass(3601)
    world.deliver()
    assert world.message_states() == [("done", None)]
    assert len(receiver.calls) == 1


def test_labels_narrow_the_audience(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url + "/eu", "eu", labels=["eu", "ch"])
    world.endpoint(receiver.url + "/us", "us", labels=["us"])
    world.endpoint(receiver.url + "/all", "all")
    for labels in (("eu",), ("us", "ch"), ("asia",), ()):
        world.publish("{}", labels=labels)
    world.deliver()
    assert Counter(call.path for call in receiver.calls) == {"/eu": 2, "/us": 1, "/all": 4}


def test_an_event_whose_labels_nobody_asks_for_says_so(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, labels=["eu"])
    world.publish("{}", labels=("us",))
    world.deliver()
    assert world.message_states() == [("done", "no_endpoint")]


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_an_attempt_shows_what_was_sent_without_its_secrets(world: World, receiver: Provider) -> None:
    world.endpoint(
        receiver.url,
        headers={"X-Tag": 'blue "1"'},
        auth={"mode": "bearer", "token": "canary-token-1"},
        signature_profiles=[{"type": "stripe"}],
    )
    (receipt,) = world.publish("{}")
    world.deliver()
    ((shown,),) = world.sql("SELECT request_headers FROM hub.attempt")
    (call,) = receiver.calls
    assert call.headers["authorization"] == "Bearer canary-token-1"
    sent = {name: value for name, value in call.headers.items() if name in shown}
    masked = {name for name, value in shown.items() if value == "***"}
    assert masked == {"authorization", "webhook-signature", "stripe-signature"}
    assert {name: value for name, value in shown.items() if name not in masked} == {
        name: value for name, value in sent.items() if name not in masked
    }
    assert (shown["webhook-id"], shown["x-tag"]) == (receipt.id, 'blue "1"')
    hop = {"host", "accept", "content-length", "connection", "accept-encoding", "expect"}
    assert set(call.headers) - set(shown) <= hop, "every header that the hub made is shown"


def test_the_statistics_add_up_with_the_attempts(world: World, receiver: Provider) -> None:
    good = world.endpoint(receiver.url + "/good", "good")
    bad = world.endpoint(receiver.url + "/bad", "bad", retries=[1, 1])
    receiver.default = lambda call: Answer(500 if call.path == "/bad" else 200)
    source = world.source()
    for _ in range(3):
        world.publish("1", "2")
        world.deliver(source)
        world.let_pass(2)
    world.deliver(source)
    source.flush()
    attempts = world.sql(
        "SELECT d.endpoint_id, count(*) FILTER (WHERE a.outcome = 'succeeded'),"
        " count(*) FILTER (WHERE a.outcome = 'failed'), sum(a.total_ms)::float8"
        " FROM hub.attempt a JOIN hub.delivery d ON d.id = a.work_id GROUP BY 1 ORDER BY 1"
    )
    bounds = [name for (name,) in world.sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'hub.endpoint_metric'::regclass AND attname LIKE 'le_%'"
    )]  # fmt: skip
    counted: list[tuple[Any, ...]] = world.sql(
        "SELECT endpoint_id, sum(succeeded), sum(failed), sum(latency_sum_ms)::float8,"
        f" sum({' + '.join(bounds)}) FROM hub.endpoint_metric GROUP BY 1 ORDER BY 1"
    )
    assert [row[:3] for row in counted] == [row[:3] for row in attempts]
    assert {row[0] for row in counted} == {good, bad}
    for row, attempt in zip(counted, attempts, strict=True):
        assert row[3] == pytest.approx(attempt[3], rel=1e-3)
        assert row[4] == row[1] + row[2], "every call is in one slot of the histogram"
    health = {
        endpoint: (failing is not None, failed)
        for endpoint, failing, failed in world.sql(
            "SELECT endpoint_id, failing_since, failed_messages FROM hub.endpoint_health"
        )
    }
    assert health == {good: (False, 0), bad: (True, 6)}
    assert State.FAILED in {state for (state,) in world.states("state")}
