"""Limits of an endpoint, over all workers: calls at once, calls per second, batches, order of a key."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import standardwebhooks

from hub.net.outcome import ErrorClass, Outcome
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.job import Job
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World

OK = Outcome(200, None)
BROKEN = Outcome(500, ErrorClass.HTTP_5XX, "The answer was status 500.")


def record(source: DeliverySource, jobs: list[Job], outcome: Outcome | None = OK) -> None:
    source.record([(job, outcome) for job in jobs])()


def claim(source: DeliverySource, limit: int = 100) -> list[Job]:
    return source.claim(limit)[0]


def numbers(jobs: list[Job]) -> list[Any]:
    """What was published, in the order of the calls."""
    return [json.loads(one.envelope.data) for job in jobs for one in (job, *job.others)]


# -- calls at once ----------------------------------------------------------------------------------------------------


def test_an_endpoints_calls_at_once_are_counted_over_all_workers(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", max_in_flight=3)
    world.publish(*["{}"] * 10)
    anna, ben = world.source("anna"), world.source("ben")
    assert claim(anna) == [], "every delivery passes its lane"
    hers = claim(anna, 2)
    his = claim(ben)
    assert (len(hers), len(his)) == (2, 1)
    assert claim(anna) == claim(ben) == []
    record(ben, his)
    assert len(claim(anna)) == 1
    record(anna, hers, BROKEN)
    assert len(claim(ben)) == 2
    # A worker that died: its calls count until its leases lapse.
    world.let_leases_lapse()
    assert len(world.sweep()) == 3
    assert len(claim(anna)) == 3


def test_work_that_is_handed_back_makes_room(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", max_in_flight=2)
    world.publish(*["{}"] * 5)
    source = world.source()
    claim(source)
    jobs = claim(source)
    assert len(jobs) == 2
    source.hand_back(jobs)()
    assert len(claim(source)) == 2


def test_a_limit_that_is_changed_while_calls_are_under_way_counts_them_right(world: World) -> None:
    endpoint = world.endpoint("http://127.0.0.1:1/", max_in_flight=2)
    world.publish(*["{}"] * 20)
    source = world.source()
    claim(source)
    counted = claim(source)
    world.change(endpoint, max_in_flight=None)
    free = claim(source, 16)
    assert (len(counted), len(free)) == (2, 16)
    record(source, counted)
    world.change(endpoint, max_in_flight=1)
    assert len(claim(source)) == 1
    record(source, free)
    assert claim(source) == [], "those that were not counted make no room"


# -- calls per second -------------------------------------------------------------------------------------------------


def test_an_endpoint_gets_no_more_calls_per_second_than_it_asks_for(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", rate_limit=2)
    world.publish(*["{}"] * 10)
    anna, ben = world.source("anna"), world.source("ben")
    claim(anna)
    world.let_pass(100)
    began = time.monotonic()
    assert len(claim(anna)) == 2, "what was not used for a long time does not add up"
    passed, sent = 0.0, 0
    for source, seconds in ((ben, 0.0), (ben, 0.5), (anna, 0.3), (anna, 0.3)):
        world.let_pass(seconds)
        passed += seconds
        sent += len(claim(source))
        # Time goes by while this runs, and on a busy machine more of it.
        assert int(2 * passed) <= sent <= 2 * (passed + time.monotonic() - began)
    assert set(world.states("attempt")) == {(0,), (1,)}


def test_less_than_one_call_per_second(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", rate_limit=0.1)
    world.publish("1", "2", "3")
    source = world.source()
    claim(source)
    world.let_pass(10)
    assert len(claim(source)) == 1
    world.let_pass(9)
    assert claim(source) == []
    world.let_pass(1.5)
    assert len(claim(source)) == 1


def test_a_limited_endpoint_costs_the_others_nothing(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", "limited", rate_limit=1)
    world.endpoint("http://127.0.0.1:1/", "free")
    world.publish(*["{}"] * 10)
    source = world.source()
    assert [job.target.name for job in claim(source)] == ["free"] * 10


# -- order of a key ---------------------------------------------------------------------------------------------------


def test_events_of_a_key_follow_each_other_and_wait_for_the_one_that_fails(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", ordering="strict", retries=[60, 60])
    world.publish('"a1"', '"a2"', '"a3"', ordering_key="a")
    world.publish('"b1"', ordering_key="b")
    world.publish('"none"')
    source = world.source()
    jobs = claim(source) + claim(source)
    assert sorted(numbers(jobs)) == ["a1", "b1", "none"]
    record(source, [job for job in jobs if numbers([job]) != ["a1"]])
    first = [job for job in jobs if numbers([job]) == ["a1"]]
    assert claim(source) == []
    record(source, first, BROKEN)
    assert claim(source) == [], "the next one waits for the retry"
    world.let_pass(70)
    again = claim(source)
    assert numbers(again) == ["a1"]
    record(source, again)
    assert numbers(claim(source)) == ["a2"]


def test_when_an_event_of_a_key_is_given_up_the_next_one_goes(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", ordering="strict", retries=[])
    world.publish("1", "2", "3", ordering_key="k")
    source = world.source()
    seen = []
    for outcome in (BROKEN, OK, BROKEN):
        jobs = claim(source) or claim(source)
        seen += numbers(jobs)
        record(source, jobs, outcome)
    assert seen == [1, 2, 3]
    assert claim(source) == []
    assert world.states("state, reason") == [("failed", "exhausted"), ("done", None), ("failed", "exhausted")]


def test_an_endpoint_without_strict_ordering_does_not_wait(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/")
    world.publish("1", "2", "3", ordering_key="k")
    assert len(claim(world.source())) == 3


def test_a_head_that_is_cut_off_or_handed_back_goes_first_again(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", ordering="strict")
    world.publish("1", "2", ordering_key="k")
    source = world.source()
    claim(source)
    jobs = claim(source)
    assert numbers(jobs) == [1]
    record(source, jobs, None)
    jobs = claim(source)
    assert numbers(jobs) == [1]
    source.hand_back(jobs)()
    assert numbers(claim(source)) == [1]
    world.let_leases_lapse()
    world.sweep()
    assert numbers(claim(source)) == [1]


@pytest.mark.timeout(120)
def test_two_workers_that_fan_out_and_send_at_once_keep_the_order_of_every_key(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", ordering="strict")
    keys = [f"k{n}" for n in range(6)]
    sent: dict[str, list[int]] = defaultdict(list)
    under_way: set[str] = set()
    lock = threading.Lock()
    done = threading.Event()

    def publish() -> None:
        for n in range(40):
            for key in keys:
                world.publish(json.dumps([key, n]), ordering_key=key)
        done.set()

    def work(owner: str) -> None:
        source = world.source(owner)
        empty = 0
        while empty < 10 or not done.is_set():
            jobs, more = source.claim(7)
            empty = 0 if jobs or more else empty + 1
            with lock:
                for job in jobs:
                    key, n = json.loads(job.envelope.data)
                    assert key not in under_way, "two of one key at once"
                    under_way.add(key)
                    sent[key].append(n)
            write = source.record([(job, OK) for job in jobs])
            with lock:
                under_way.difference_update(json.loads(job.envelope.data)[0] for job in jobs)
            write()

    with ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(publish), pool.submit(work, "anna"), pool.submit(work, "ben")]:
            one.result(100)
    assert dict(sent) == {key: list(range(40)) for key in keys}
    assert set(world.states("state, attempt")) == {("done", 1)}


# -- memory ---------------------------------------------------------------------------------------------------


def test_a_claim_from_lanes_loads_so_many_bytes_and_the_next_one_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.webhooks.delivery._CLAIM_BYTES", 1_000)
    world.endpoint("http://127.0.0.1:1/", rate_limit=1000)
    large = json.dumps("x" * 600)
    world.publish(large, large, json.dumps("x" * 2_000), "1")
    source = world.source()
    assert claim(source) == [], "every delivery passes its lane"
    claims = []
    while jobs := claim(source):
        claims.append([job.id for job in jobs])
        record(source, jobs)
    # It looks into the lanes twice, and each look takes at least one.
    assert [len(one) for one in claims] == [2, 2]
    assert len({*claims[0], *claims[1]}) == 4
    assert world.states("state, attempt") == [("done", 1)] * 4


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_signed_request_with_every_event_and_its_id(world: World, receiver: Provider) -> None:
    endpoint = world.endpoint(receiver.url, batch={"size": 3, "wait_seconds": 30})
    world.publish('{"n": 1.10}', "2", ids=["one", "two"])
    world.deliver()
    assert receiver.calls == [], "it waits for company"
    (third,) = world.publish("[ ]")
    world.deliver()
    (call,) = receiver.calls
    items = json.loads(call.body)
    # In the order of their publication.
    assert [(item["id"], item["data"]) for item in items] == [("one", {"n": 1.1}), ("two", 2), (third.id, [])]
    assert all(list(item) == ["id", "type", "timestamp", "data"] for item in items)
    assert b'"data":{"n": 1.10}' in call.body
    standardwebhooks.Webhook(world.secrets[endpoint].reveal()).verify(call.body, call.headers)
    assert call.headers["webhook-id"].startswith("batch_")
    assert world.states("state, attempt") == [("done", 1)] * 3
    assert world.sql("SELECT count(DISTINCT work_id), count(*) FROM hub.attempt") == [(3, 3)]


def test_what_a_transformation_calls_id_does_not_hide_the_webhook_id(
    world: World, receiver: Provider
) -> None:
    steps = [{"rename": {"data.id": "id"}}, {"omit": ["type", "timestamp"]}]
    world.endpoint(receiver.url, batch={"size": 2, "wait_seconds": 30}, transformations=steps)
    world.publish('{"id": 7, "n": 1}', '{"n": 2}', ids=["one", "two"])
    world.deliver()
    (call,) = receiver.calls
    assert json.loads(call.body) == [
        {"id": "one", "data": {"id": 7, "data": {"n": 1}}},
        {"id": "two", "data": {"n": 2}},
    ]
    assert call.body.count(b'"id"') == 3


def test_a_batch_that_does_not_fill_goes_when_its_first_event_has_waited(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url, batch={"size": 10, "wait_seconds": 30})
    world.publish("1")
    world.deliver()
    world.let_pass(20)
    world.publish("2")
    world.deliver()
    assert receiver.calls == []
    world.let_pass(11)
    world.deliver()
    assert [len(json.loads(call.body)) for call in receiver.calls] == [2]


def test_more_than_a_batch_makes_several_and_none_is_too_large(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, batch={"size": 4, "wait_seconds": 30})
    world.publish(*map(str, range(10)))
    world.deliver()
    world.let_pass(31)
    world.deliver()
    batches = [[item["data"] for item in json.loads(call.body)] for call in receiver.calls]
    assert max(map(len, batches)) == 4
    assert sorted(n for batch in batches for n in batch) == list(range(10))


def test_a_batch_that_fails_is_retried_event_by_event_in_batches(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, batch={"size": 3, "wait_seconds": 30}, retries=[60])
    receiver.script = [Answer(500)]
    world.publish("1", "2", "3")
    world.deliver()
    assert world.states("state, attempt, step") == [("due", 1, 1)] * 3
    assert {status for (status,) in world.sql("SELECT status FROM hub.attempt")} == {500}
    world.let_pass(100)
    world.deliver()
    assert [len(json.loads(call.body)) for call in receiver.calls] == [3, 3]
    first, second = receiver.calls
    assert first.body == second.body
    assert world.states("state, attempt") == [("done", 2)] * 3


def test_batches_of_several_calls_at_once_are_limited_by_the_call(world: World) -> None:
    world.endpoint("http://127.0.0.1:1/", batch={"size": 4, "wait_seconds": 0}, max_in_flight=2)
    world.publish(*map(str, range(20)))
    source = world.source()
    claim(source)
    jobs = claim(source)
    assert [1 + len(job.others) for job in jobs] == [4, 4]
    assert claim(source) == []
    record(source, jobs[:1])
    assert [1 + len(job.others) for job in claim(source)] == [4]
