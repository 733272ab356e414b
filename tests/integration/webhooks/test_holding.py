"""What keeps an endpoint's deliveries back for a while: its breaker, a pause, and the drain after either."""

from __future__ import annotations

import json

from hub.net.outcome import ErrorClass, Outcome
from hub.webhooks import store
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.job import Job
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World

OK = Outcome(200, None)
BROKEN = Outcome(500, ErrorClass.HTTP_5XX, "The answer was status 500.")
HELD = ("held", "breaker_open")


def record(source: DeliverySource, jobs: list[Job], outcome: Outcome | None = OK) -> None:
    source.record([(job, outcome) for job in jobs])()


def claim(source: DeliverySource, limit: int = 100) -> list[Job]:
    return source.claim(limit)[0]


def broken(world: World, receiver: Provider, source: DeliverySource, count: int = 12) -> None:
    """An endpoint whose breaker has just opened: so many deliveries wait for their retry."""
    world.endpoint(receiver.url, retries=[1] * 10)
    receiver.default = lambda _: Answer(500)
    world.publish(*["{}"] * count)
    world.deliver(source)
    assert world.seen_states() == [HELD] * count


# -- the breaker ------------------------------------------------------------------------------------------------------


def test_after_ten_failures_nothing_is_sent_until_the_pause_is_over(world: World, receiver: Provider) -> None:
    source = world.source()
    broken(world, receiver, source)
    calls = len(receiver.calls)
    world.publish("{}")
    world.let_pass(10)
    world.deliver(source)
    world.deliver()  # another process, which did not see the failures
    assert len(receiver.calls) == calls
    assert world.seen_states() == [HELD] * 13
    assert world.states("attempt")[-1] == (0,), "a delivery that is held costs no attempt"


def test_one_call_probes_and_its_success_lets_all_go(world: World, receiver: Provider) -> None:
    source = world.source()
    broken(world, receiver, source)
    receiver.calls.clear()
    receiver.default = lambda _: Answer(200)
    world.let_pass(16)
    (probe,) = claim(source)
    assert probe.probe
    assert claim(source) == claim(world.source("ben")) == [], "one probe over all workers"
    record(source, [probe])
    world.deliver(source)
    assert world.states("state") == [("done",)] * 12
    world.publish("{}")
    world.deliver(source)
    assert len(receiver.calls) == 12


def test_a_probe_that_fails_doubles_the_pause(world: World, receiver: Provider) -> None:
    source = world.source()
    broken(world, receiver, source)
    for pause in (15, 30, 60):
        receiver.calls.clear()
        world.let_pass(pause - 3)
        world.deliver(source)
        assert receiver.calls == []
        world.let_pass(4)
        world.deliver(source)
        assert len(receiver.calls) == 1, f"after {pause} s one call"
        assert world.seen_states() == [HELD] * 12


def test_a_probe_whose_worker_vanished_is_followed_by_another(world: World, receiver: Provider) -> None:
    source = world.source(lease=20.0)
    broken(world, receiver, source)
    world.let_pass(16)
    (probe,) = claim(source)
    world.let_pass(21)
    assert world.sweep() == [probe.id]
    assert [job.probe for job in claim(world.source("ben"))] == [True]


def test_other_endpoints_go_on(world: World, receiver: Provider) -> None:
    source = world.source()
    broken(world, receiver, source)
    world.endpoint(receiver.url + "/fine", "fine")
    receiver.default = lambda _: Answer(200)
    receiver.calls.clear()
    world.publish("{}")
    world.deliver(source)
    assert [call.path for call in receiver.calls] == ["/fine"]


def test_a_success_that_comes_late_closes_the_breaker(world: World, receiver: Provider) -> None:
    source = world.source()
    world.endpoint(receiver.url, retries=[1] * 10)
    world.publish("{}")
    (slow,) = claim(source)
    receiver.default = lambda _: Answer(500)
    world.publish(*["{}"] * 12)
    world.deliver(source)
    assert HELD in world.seen_states()
    record(source, [slow])
    assert HELD not in world.seen_states()


def test_a_breaker_does_not_replace_a_pause_and_activating_closes_it(
    world: World, receiver: Provider
) -> None:
    source = world.source()
    endpoint = world.endpoint(receiver.url, retries=[1] * 10)
    world.publish(*["{}"] * 12)
    jobs = claim(source)
    world.change(endpoint, status="paused")
    record(source, jobs, BROKEN)
    assert world.seen_states() == [("held", "endpoint_paused")] * 12
    world.let_pass(1000)
    world.deliver(source)
    assert receiver.calls == []
    world.change(endpoint, status="active")
    world.deliver(source)
    assert world.states("state") == [("done",)] * 12


# -- pause and drain --------------------------------------------------------------------------------------------------


def test_after_a_pause_what_waits_goes_at_the_drain_rate_and_then_everything_at_once(world: World) -> None:
    endpoint = world.endpoint("http://127.0.0.1:1/", drain_rate=2)
    world.change(endpoint, status="paused")
    world.publish(*["{}"] * 5)
    source = world.source()
    assert claim(source) == []
    world.let_pass(3600)
    world.change(endpoint, status="active")
    assert claim(source) == [], "nothing was saved up during the pause"
    sent = []
    for expected in (2, 2, 1):
        world.let_pass(1)
        jobs = claim(source)
        assert len(jobs) == expected
        sent += jobs
    # The line is empty: the drain is over.
    record(source, sent, None)
    assert len(claim(source)) == 5


def test_new_events_do_not_wait_for_the_drain(world: World) -> None:
    endpoint = world.endpoint("http://127.0.0.1:1/", drain_rate=1)
    world.change(endpoint, status="paused")
    world.publish('"old"', '"old"')
    source = world.source()
    claim(source)
    world.change(endpoint, status="active")
    world.publish('"new"')
    assert [json.loads(job.envelope.data) for job in claim(source)] == ["new"]


def test_a_backlog_that_is_not_wanted_is_cancelled_in_steps(world: World) -> None:
    endpoint = world.endpoint("http://127.0.0.1:1/")
    world.change(endpoint, status="paused")
    world.publish(*["{}"] * 30)
    source = world.source()
    claim(source)
    with world.engine.begin() as conn:
        store.DELIVERIES.discard(conn, endpoint, "discarded")
    with world.engine.begin() as conn:
        assert store.DELIVERIES.sweep_discarded(conn, limit=20, keep=store.ENDPOINT_DELETED) == 20
    world.sweep()
    assert set(world.states()) == {("cancelled", "discarded")}
    # What comes afterwards is wanted.
    world.change(endpoint, status="active")
    world.publish("{}")
    world.sweep()
    assert len(claim(source)) == 1
