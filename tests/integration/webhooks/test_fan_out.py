"""One event to many endpoints, many events to one: steps that survive a crash, bytes, and a fair share of a process."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

from hub.net.outcome import Outcome
from hub.webhooks import fan_out, store
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.job import Job
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World
from tests.support.waiting import until

OK = Outcome(200, None)
MANY = 2_500


def multiply(world: World, endpoint: UUID, count: int) -> None:
    """More endpoints like this one."""
    columns = ", ".join(
        name
        for (name,) in world.sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'hub.endpoint'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname NOT IN ('id', 'name')"
        )
    )
    world.sql(
        f"WITH made AS (INSERT INTO hub.endpoint (id, name, {columns}) SELECT hub.uuid7(), name || n, {columns}"
        "  FROM hub.endpoint, generate_series(2, :count) AS n WHERE id = :id RETURNING id, tenant_id)"
        " INSERT INTO hub.delivery_lane (endpoint_id, tenant_id) SELECT id, tenant_id FROM made",
        id=endpoint,
        count=count,
    )
    world.sql("UPDATE hub.tenant SET config_version = config_version + 1")


@pytest.fixture
def crowded(world: World) -> World:
    """2,500 endpoints."""
    multiply(world, world.endpoint("http://127.0.0.1:1/"), MANY)
    return world


def finish(source: DeliverySource, jobs: list[Job]) -> None:
    source.record([(job, OK) for job in jobs])()


def drain(source: DeliverySource) -> list[Job]:
    """Everything there is, recorded as done."""
    found: list[Job] = []
    for _ in range(1_000):
        jobs, more = source.claim(500)
        finish(source, jobs)
        found += jobs
        if not more and not jobs:
            break
    return found


# -- many endpoints ---------------------------------------------------------------------------------------------------


def test_an_event_for_many_endpoints_goes_in_steps(crowded: World) -> None:
    crowded.publish("{}")
    source = crowded.source()
    source.claim(500)
    assert crowded.sql("SELECT count(*) FROM hub.delivery") == [(1_000,)]
    assert crowded.message_states() == [("due", None)]
    source.claim(500)
    assert crowded.sql("SELECT count(*) FROM hub.delivery") == [(2_000,)]
    source.claim(500)
    assert crowded.sql("SELECT count(*), count(DISTINCT endpoint_id) FROM hub.delivery") == [(MANY, MANY)]
    assert crowded.message_states() == [("done", None)]


def test_after_a_crash_between_two_steps_another_worker_goes_on(crowded: World) -> None:
    crowded.publish("{}")
    crowded.source("anna").claim(500)  # and is never heard of again
    jobs = drain(crowded.source("ben"))
    crowded.let_leases_lapse()
    crowded.sweep()
    jobs += drain(crowded.source("ben"))
    assert Counter(Counter(job.target.id for job in jobs).values()) == {1: MANY}
    assert crowded.sql("SELECT state, count(*) FROM hub.delivery GROUP BY 1") == [("done", MANY)]


def test_a_crash_within_a_step_leaves_no_trace_of_it(crowded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded.publish("{}")
    source = crowded.source()
    finish(source, source.claim(500)[0])

    def crash(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(store, "advance_fan_out", crash)
        with pytest.raises(RuntimeError):
            drain(source)
    assert crowded.sql("SELECT count(*) FROM hub.delivery") == [(1_000,)]
    drain(source)
    assert crowded.sql("SELECT count(*), count(DISTINCT endpoint_id) FROM hub.delivery") == [(MANY, MANY)]


def test_an_endpoint_that_is_made_amid_the_steps_gets_nothing_twice(crowded: World) -> None:
    crowded.publish("{}")
    source = crowded.source()
    finish(source, source.claim(500)[0])
    multiply(crowded, crowded.endpoint("http://127.0.0.1:1/", "late"), 2)
    drain(source)
    rows = crowded.sql("SELECT endpoint_id, count(*) FROM hub.delivery GROUP BY 1 HAVING count(*) > 1")
    assert rows == []
    assert crowded.message_states() == [("done", None)]


def test_two_events_for_many_endpoints_are_fanned_out_by_two_workers_at_once(crowded: World) -> None:
    crowded.publish("1", "2")
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda owner: drain(crowded.source(owner)), ["anna", "ben"]))
    seen = Counter((job.target.id, job.envelope.data) for part in parts for job in part)
    seen.update((job.target.id, job.envelope.data) for job in drain(crowded.source("cleo")))
    assert len(seen) == 2 * MANY
    assert set(seen.values()) == {1}


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_an_event_that_is_larger_than_all_that_may_be_under_way_is_sent_alone(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url)
    world.publish('"' + "x" * 5_000 + '"', "1", "2")
    for _ in range(3):
        world.deliver(world.source(max_bytes=1_000))
    assert sorted(len(call.body) > 5_000 for call in receiver.calls) == [False, False, True]


def test_a_fan_out_takes_no_more_bytes_than_a_process_can_hold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "_BYTES", 1_000)
    world.endpoint("http://127.0.0.1:1/")
    world.publish(*['"' + "x" * 600 + '"'] * 3, '"' + "x" * 5_000 + '"')
    source = world.source()
    claims = [len(source.claim(100)[0]) for _ in range(5)]
    assert claims == [1, 1, 1, 1, 0]


# -- a fair share -----------------------------------------------------------------------------------------------------


def test_an_endpoint_that_hangs_does_not_take_the_whole_process(world: World, receiver: Provider) -> None:
    """Its events came first, and more of them than there is room."""
    world.endpoint(receiver.url + "/hangs", "hangs", event_types=["hangs"])
    world.endpoint(receiver.url + "/quick", "quick", event_types=["quick"])
    gate = threading.Event()
    receiver.default = lambda call: Answer(gate=gate if call.path == "/hangs" else None)
    world.publish(*["{}"] * 100, type_="hangs")
    world.publish(*["{}"] * 100, type_="quick")

    def seen(path: str) -> int:
        return [call.path for call in list(receiver.calls)].count(path)

    with ThreadPoolExecutor(1) as pool:
        pump = pool.submit(lambda: world.deliver(world.source(capacity=20), capacity=20))
        try:
            until(lambda: seen("/quick") == 100, seconds=10, what="the quick endpoint's deliveries")
            assert 0 < seen("/hangs") < 20
        finally:
            gate.set()
        pump.result(60)
    for _ in range(3):
        world.deliver()
    assert seen("/hangs") == 100
    assert set(world.states("state, attempt")) == {("done", 1)}


def test_places_are_given_back_when_a_fan_out_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.endpoint("http://127.0.0.1:1/")
    source = world.source(capacity=10)

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    world.publish(*["{}"] * 10)
    with monkeypatch.context() as patched:
        patched.setattr(store, "fan_out", fail)
        for _ in range(5):
            with pytest.raises(OperationalError):
                source.claim(10)
    sent = 0
    for _ in range(5):
        jobs, _more = source.claim(10)
        finish(source, jobs)
        sent += len(jobs)
    assert sent == 10


def test_what_was_claimed_from_lanes_is_sent_though_the_fan_out_after_it_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.endpoint("http://127.0.0.1:1/")
    source = world.source()
    world.publish("1")
    source.hand_back(source.claim(10)[0])()
    world.publish("2")

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(store, "fan_out", fail)
        jobs, more = source.claim(10)
    assert ([job.envelope.data for job in jobs], more) == (["1"], True)
    assert [job.envelope.data for job in source.claim(10)[0]] == ["2"]


@pytest.mark.parametrize("statement", ["list_endpoint_versions", "load_endpoints"])
def test_a_database_that_goes_away_amid_loading_endpoints_fans_out_to_nobody_less(
    world: World, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    first = world.endpoint("http://127.0.0.1:1/", name="first")
    source = world.source()
    world.publish("{}")
    assert [job.target.id for job in source.claim(10)[0]] == [first]
    second = world.endpoint("http://127.0.0.1:1/", name="second")
    world.publish("{}")
    with monkeypatch.context() as away:

        def gone(*_: Any) -> Any:
            raise OperationalError("SELECT", {}, Exception("the database is shutting down"))

        away.setattr(store, statement, gone)
        with pytest.raises(OperationalError):
            source.claim(10)
    assert {job.target.id for job in source.claim(10)[0]} == {first, second}
