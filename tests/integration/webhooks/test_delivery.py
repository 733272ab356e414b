"""Fan-out, sending and recording against a real Postgres and a real receiver."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import standardwebhooks
import svix.webhooks
from sqlalchemy import Engine, event, text

from hub.access.store import bump_config_version
from hub.core.errors import Conflict, NotFound
from hub.db.partitions import drop_old, ensure
from hub.db.states import State
from hub.net.outcome import ErrorClass, Outcome
from hub.webhooks import resending, store
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.job import Job
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World, running_world

OK = Outcome(200, None)
BROKEN = Outcome(500, ErrorClass.HTTP_5XX, "The answer was status 500.")


def record(source: DeliverySource, jobs: list[Job], outcome: Outcome | None) -> None:
    source.record([(job, outcome) for job in jobs])()


# -- what arrives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        '{"z": 1,  "a": 123456789012345678901234567890, "m": {"y": 1.10, "b": 1E+2}}',
        '"caf\\u00e9 café 🐘 \\"quoted\\" \\\\ \\/"',
        "[ ]",
        "null",
        '{"\u2028": "\u007f"}',
    ],
)
def test_the_receiver_gets_the_publishers_bytes_under_a_signature_that_holds(
    world: World, receiver: Provider, data: str
) -> None:
    endpoint = world.endpoint(receiver.url + "/hook?x=1", headers={"X-Tag": "blue"})
    (receipt,) = world.publish(data, ids=["inv-1"])
    assert world.deliver().recorded == 1
    (call,) = receiver.calls
    head, _, rest = call.body.partition(b'"data":')
    assert rest == data.encode() + b"}"
    body = json.loads(call.body)
    assert list(body) == ["type", "timestamp", "data"]
    assert (body["type"], head.startswith(b'{"type":"invoice.paid","timestamp":"20')) == (
        "invoice.paid",
        True,
    )
    assert (call.method, call.path, call.query) == ("POST", "/hook", {"x": ["1"]})
    assert call.headers["webhook-id"] == "inv-1"
    assert (call.headers["content-type"], call.headers["x-tag"]) == ("application/json", "blue")
    secret = world.secrets[endpoint].reveal()
    standardwebhooks.Webhook(secret).verify(call.body, call.headers)
    svix.webhooks.Webhook(secret).verify(call.body, call.headers)
    assert receipt.id.startswith("msg_")


def test_without_an_id_of_the_publisher_the_webhook_id_is_ours(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url)
    (receipt,) = world.publish("{}")
    world.deliver()
    assert receiver.calls[0].headers["webhook-id"] == receipt.id


def test_every_attempt_carries_the_same_id_and_bytes_and_a_fresh_signature(
    world: World, receiver: Provider
) -> None:
    endpoint = world.endpoint(receiver.url, retries=[0, 0, 0])
    receiver.script = [Answer(500), Answer(503), Answer(302, headers={"Location": receiver.url})]
    world.publish('{"n": 1}')
    for _ in range(4):
        world.deliver()
        world.everything_due()
    assert len({(call.headers["webhook-id"], call.body) for call in receiver.calls}) == 1
    for call in receiver.calls:
        standardwebhooks.Webhook(world.secrets[endpoint].reveal()).verify(call.body, call.headers)
    assert world.states("state, attempt, step") == [("done", 4, 3)]
    assert world.sql("SELECT outcome, status, number, late FROM hub.attempt ORDER BY id") == [
        ("failed", 500, 1, False),
        ("failed", 503, 2, False),
        ("failed", 302, 3, False),
        ("succeeded", 200, 4, False),
    ]


def test_every_endpoint_that_matches_gets_it_and_no_other(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url + "/all", "all")
    world.endpoint(receiver.url + "/invoices", "invoices", event_types=["invoice.*"])
    world.endpoint(receiver.url + "/users", "users", event_types=["user.made", "user.gone"])
    world.publish("1", type_="invoice.paid")
    world.publish("2", type_="user.gone")
    world.publish("3", type_="other")
    world.deliver()
    assert Counter(call.path for call in receiver.calls) == {"/all": 3, "/invoices": 1, "/users": 1}


def test_endpoints_of_another_tenant_get_nothing(
    world: World, receiver: Provider, engine: Engine, database_url: str
) -> None:
    with running_world(engine, database_url, "globex") as other:
        other.endpoint(receiver.url)
        world.publish("{}")
        world.deliver()
    assert receiver.calls == []
    assert world.message_states() == [("done", "no_endpoint")]
    assert world.states() == []


# -- fan-out --------------------------------------------------------------------------------------------------------


def test_deliveries_are_leased_to_who_fans_out_as_far_as_there_is_room(
    world: World, receiver: Provider
) -> None:
    for name in ("a", "b", "c"):
        world.endpoint(receiver.url, name)
    world.publish("1", "2")
    source = world.source()
    jobs, more = source.claim(4)
    assert (len(jobs), more) == (4, True)
    assert Counter(world.states("state, fence, attempt, lease_owner")) == {
        ("leased", 1, 1, "anna"): 4,
        ("due", 0, 0, None): 2,
    }
    record(source, jobs, OK)
    rest, _ = source.claim(4)
    assert len(rest) == 2
    assert {job.id for job in rest}.isdisjoint(job.id for job in jobs)
    record(source, rest, OK)
    assert source.claim(4) == ([], False)
    assert set(world.states()) == {("done", None)}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8])
def test_a_claim_never_brings_more_than_was_asked_for(world: World, receiver: Provider, limit: int) -> None:
    for name in ("a", "b", "c"):
        world.endpoint(receiver.url, name)
    world.publish(*["{}"] * 5)
    source = world.source()
    seen: list[UUID] = []
    for _ in range(100):
        jobs, more = source.claim(limit)
        assert len(jobs) <= limit
        seen += [job.id for job in jobs]
        record(source, jobs, OK)
        if not more:
            break
    assert len(seen) == len(set(seen)) == 15


def test_a_fan_out_that_is_not_committed_leaves_the_message_to_others(
    world: World, receiver: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.endpoint(receiver.url)
    world.publish("{}")

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(store, "fan_out", crash)
        with pytest.raises(RuntimeError):
            world.source().claim(5)
    assert world.message_states() == [("due", None)]
    assert world.states() == []
    world.deliver()
    assert world.states() == [("done", None)]


def test_two_workers_at_once_fan_everything_out_exactly_once(world: World, receiver: Provider) -> None:
    for name in ("a", "b"):
        world.endpoint(receiver.url, name)
    receipts = world.publish(*["{}"] * 200)
    start = threading.Barrier(2)

    def work(owner: str) -> list[tuple[UUID, str]]:
        source = world.source(owner)
        found: list[tuple[UUID, str]] = []
        start.wait(10)
        while True:
            jobs, more = source.claim(17)
            found += [(job.target.id, job.envelope.webhook_id) for job in jobs]
            record(source, jobs, OK)
            if not more:
                return found

    with ThreadPoolExecutor(2) as pool:
        found = [one for part in pool.map(work, ["anna", "ben"]) for one in part]
    # One may have ended while the other still held rows; what is left is due.
    source = world.source("cleo")
    while (claim := source.claim(50))[1]:
        found += [(job.target.id, job.envelope.webhook_id) for job in claim[0]]
        record(source, claim[0], OK)
    assert len(found) == len(set(found)) == 400
    assert {webhook_id for _, webhook_id in found} == {receipt.id for receipt in receipts}
    assert Counter(world.states("state, attempt")) == {("done", 1): 400}


# -- states of endpoints --------------------------------------------------------------------------------------------


def test_while_an_endpoint_is_paused_everything_is_held_and_then_sent(
    world: World, receiver: Provider
) -> None:
    endpoint = world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    (in_flight,), _ = source.claim(1)
    world.publish("2")
    source.hand_back(source.claim(1)[0])()
    world.change(endpoint, status="paused")
    world.publish("3")
    assert world.deliver().recorded == 0
    record(source, [in_flight], BROKEN)
    world.everything_due()
    world.deliver()
    assert receiver.calls == []
    assert world.seen_states() == [("held", "endpoint_paused")] * 3
    world.change(endpoint, status="active")
    world.everything_due()
    world.deliver()
    assert len(receiver.calls) == 3
    assert set(world.states("state")) == {("done",)}


def test_a_held_delivery_costs_no_attempt(world: World, receiver: Provider) -> None:
    endpoint = world.endpoint(receiver.url)
    world.change(endpoint, status="paused")
    world.publish("1")
    for _ in range(3):
        world.deliver()
        world.everything_due()
    assert world.seen_states() == [("held", "endpoint_paused")]
    assert world.states("state, attempt, step") == [("due", 0, 0)]
    assert world.sql("SELECT count(*) FROM hub.attempt") == [(0,)]


def test_410_disables_the_endpoint_once_and_holds_what_waits(world: World, receiver: Provider) -> None:
    gone = world.endpoint(receiver.url + "/gone", "gone")
    world.endpoint(receiver.url + "/ok", "ok")
    receiver.default = lambda call: Answer(410 if call.path == "/gone" else 200)
    world.publish(*["{}"] * 6)
    source = world.source()
    jobs, _ = source.claim(4)
    record(source, [job for job in jobs if job.target.id == gone], Outcome(410, ErrorClass.HTTP_4XX))
    record(source, [job for job in jobs if job.target.id != gone], OK)
    world.deliver(source)
    (row,) = world.sql("SELECT status, status_reason, version FROM hub.endpoint WHERE id = :id", id=gone)
    assert row == ("disabled", "gone", 2)
    assert set(world.seen_states()) == {("failed", "gone"), ("held", "endpoint_disabled"), ("done", None)}
    world.publish("{}")
    calls = len(receiver.calls)
    world.deliver()
    assert [call.path for call in receiver.calls[calls:]] == ["/ok"]


def test_deleting_an_endpoint_cancels_what_waits_and_keeps_its_history(
    world: World, receiver: Provider
) -> None:
    endpoint = world.endpoint(receiver.url)
    world.publish("1")
    world.deliver()
    world.publish("2")
    source = world.source()
    jobs, _ = source.claim(5)
    world.publish("3")
    source.hand_back(source.claim(5)[0])()
    world.remove(endpoint)
    world.publish("4")
    world.sweep()
    world.deliver()
    assert world.states() == [("done", None), ("leased", None), ("cancelled", "endpoint_deleted")]
    # What was under way is not taken back: it may have arrived, and its outcome is worth knowing.
    record(source, jobs, OK)
    assert world.states() == [("done", None), ("done", None), ("cancelled", "endpoint_deleted")]
    assert len(receiver.calls) == 1


def test_a_retry_to_an_endpoint_that_was_deleted_meanwhile_is_cancelled(
    world: World, receiver: Provider
) -> None:
    endpoint = world.endpoint(receiver.url)
    world.publish("1", "2")
    source = world.source()
    first, second = source.claim(5)[0]
    world.remove(endpoint)
    record(source, [first], BROKEN)
    world.sweep()
    record(source, [second], None)
    # The sweep finds one; the claim another.
    world.deliver(source)
    assert world.states() == [("cancelled", "endpoint_deleted")] * 2
    assert receiver.calls == []


def test_a_delivery_whose_endpoint_vanished_is_cancelled(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    jobs, _ = source.claim(1)
    source.hand_back(jobs)()
    with world.engine.begin() as conn:
        bump_config_version(conn, world.tenant_id)
        conn.execute(text("DELETE FROM hub.endpoint"))
    world.deliver()
    assert world.states("state, reason, attempt") == [("cancelled", "endpoint_deleted", 0)]


def test_a_delivery_whose_event_is_gone_says_so(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    source.hand_back(source.claim(1)[0])()
    world.sql("DELETE FROM hub.message")
    world.deliver()
    assert world.states() == [("expired", "event_expired")]
    assert receiver.calls == []


def test_an_endpoint_whose_secret_does_not_open_is_held_and_costs_the_others_nothing(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url + "/bad", "bad")
    world.sql("UPDATE hub.secret SET ciphertext = 'x'")
    world.endpoint(receiver.url + "/good", "good")
    world.publish("{}")
    world.deliver()
    assert [call.path for call in receiver.calls] == ["/good"]
    assert set(world.states()) == {("due", "secret_unreadable"), ("done", None)}


def test_an_endpoint_whose_row_was_spoilt_is_held_and_costs_the_others_nothing(
    world: World, receiver: Provider
) -> None:
    spoilt = world.endpoint(receiver.url + "/bad", "bad")
    world.sql("UPDATE hub.endpoint SET retry_policy = '7' WHERE id = :id", id=spoilt)
    world.endpoint(receiver.url + "/good", "good")
    world.publish("{}")
    world.deliver()
    assert [call.path for call in receiver.calls] == ["/good"]
    assert set(world.states()) == {("due", "endpoint_unreadable"), ("done", None)}


def quarantine(world: World) -> None:
    """Its worker vanishes three times."""
    source = world.source()
    for _ in range(3):
        (job,) = source.claim(1)[0]
        world.let_leases_lapse()
        assert world.sweep() == [job.id]


def test_a_delivery_whose_workers_vanished_three_times_is_held_and_can_be_seen_and_sent_again(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url)
    world.publish("1")
    quarantine(world)
    assert world.seen_states() == [("held", "quarantined")]
    world.publish("2")
    world.deliver()
    assert world.seen_states() == [("held", "quarantined"), ("done", None)]
    assert resend(world) is State.DUE
    world.deliver()
    assert world.states("state, attempt") == [("done", 4), ("done", 1)]


def test_a_quarantined_delivery_goes_with_its_endpoint(world: World, receiver: Provider) -> None:
    endpoint = world.endpoint(receiver.url)
    world.publish("1")
    quarantine(world)
    world.remove(endpoint)
    world.sweep()
    assert world.states() == [("cancelled", "endpoint_deleted")]


# -- a change of the set-up meets a worker ----------------------------------------------------------------------------


def before(engine: Engine, start: str, action: Callable[[], object]) -> Callable[[], None]:
    """Run something once, just before the first statement that starts like this; returns how to stop watching."""
    done = threading.Event()

    def watch(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if " ".join(statement.split()).startswith(start) and not done.is_set():
            done.set()
            action()

    event.listen(engine, "before_cursor_execute", watch)
    return lambda: event.remove(engine, "before_cursor_execute", watch)


def test_a_change_that_was_committed_before_the_claim_is_honoured(world: World, receiver: Provider) -> None:
    endpoint = world.endpoint(receiver.url + "/old")
    source = world.source()
    world.publish("1")
    world.deliver(source)
    world.change(endpoint, url=receiver.url + "/new")
    world.publish("2")
    world.deliver(source)
    assert [call.path for call in receiver.calls] == ["/old", "/new"]


def test_an_endpoint_that_is_paused_between_a_claim_and_the_look_at_it_gets_nothing_and_then_all(
    world: World, receiver: Provider
) -> None:
    """The worker has claimed the row; the endpoint is paused; the worker reads that and puts the row back."""
    endpoint = world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    source.hand_back(source.claim(1)[0])()
    with ThreadPoolExecutor(1) as pool:
        paused: list[Any] = []
        stop = before(
            world.engine,
            "SELECT id, config_version FROM hub.tenant",
            lambda: paused.append(_begin(pool, world, endpoint, "paused")),
        )
        world.deliver(source)
        stop()
        paused[0].result(10)
    world.deliver(source)
    calls = len(receiver.calls)
    world.change(endpoint, status="active")
    world.everything_due()
    world.deliver(source)
    assert world.states() == [("done", None)]
    assert (calls, len(receiver.calls)) in {(0, 1), (1, 1)}


def test_an_endpoint_that_becomes_active_during_a_fan_out_still_gets_the_event(
    world: World, receiver: Provider
) -> None:
    endpoint = world.endpoint(receiver.url)
    world.change(endpoint, status="paused")
    world.publish("1")
    with ThreadPoolExecutor(1) as pool:
        activated: list[Any] = []
        stop = before(
            world.engine,
            "WITH r AS MATERIALIZED",
            lambda: activated.append(_begin(pool, world, endpoint, "active")),
        )
        world.deliver()
        stop()
        activated[0].result(10)
    world.deliver()
    assert world.states() == [("done", None)]


def _begin(pool: ThreadPoolExecutor, world: World, endpoint: UUID, status: str) -> Any:
    """Change the status: go on when that is done, or when it clearly waits for the other transaction."""
    change = pool.submit(world.change, endpoint, status=status)
    with contextlib.suppress(TimeoutError):
        change.result(0.5)
    return change


# -- recording ------------------------------------------------------------------------------------------------------


def test_the_same_results_written_again_change_nothing(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url)
    world.publish("1", "2")
    source = world.source()
    jobs, _ = source.claim(5)
    write = source.record([(jobs[0], OK), (jobs[1], BROKEN)])
    write()
    once = (
        world.sql("SELECT * FROM hub.delivery ORDER BY id"),
        world.sql("SELECT * FROM hub.attempt ORDER BY id"),
    )
    write()
    assert once == (
        world.sql("SELECT * FROM hub.delivery ORDER BY id"),
        world.sql("SELECT * FROM hub.attempt ORDER BY id"),
    )


def test_a_call_that_was_cut_off_is_sent_again_without_burning_a_step(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    jobs, _ = source.claim(5)
    record(source, jobs, None)
    assert world.states("state, attempt, step") == [("due", 1, 0)]
    assert world.sql("SELECT outcome, error_class FROM hub.attempt") == [("interrupted", "internal")]
    world.deliver()
    assert world.states("state, attempt, step") == [("done", 2, 0)]


def test_what_never_started_is_handed_back_without_a_trace(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    source.hand_back(source.claim(5)[0])()
    assert world.states("state, attempt, step, lease_owner") == [("due", 0, 0, None)]
    assert world.sql("SELECT count(*) FROM hub.attempt") == [(0,)]


def test_the_schedule_ends_in_failure(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, retries=[0.001])
    receiver.default = lambda _call: Answer(404)
    world.publish("1")
    for _ in range(3):
        world.deliver()
        world.everything_due()
    assert world.states("state, reason, attempt, step") == [("failed", "exhausted", 2, 1)]


# -- resend ---------------------------------------------------------------------------------------------------------


def resend(world: World) -> State:
    (delivery_id,) = world.sql("SELECT id FROM hub.delivery")[0]
    with world.engine.begin() as conn:
        return State(resending.resend(conn, world.caller, delivery_id).state)


def test_a_resend_sends_the_same_event_again_and_burns_no_step(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, retries=[])
    receiver.script = [Answer(500)]
    world.publish('{"n":1}')
    world.deliver()
    assert world.states("state, step") == [("failed", 0)]
    assert resend(world) is State.DUE
    world.deliver()
    assert world.states("state, step, attempt") == [("done", 0, 2)]
    assert resend(world) is State.DUE
    world.deliver()
    assert len({(call.headers["webhook-id"], call.body) for call in receiver.calls}) == 1
    assert len(receiver.calls) == 3


def test_a_delivery_that_is_being_sent_is_not_resent(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url)
    world.publish("1")
    world.source().claim(1)
    with pytest.raises(Conflict, match="being sent right now"):
        resend(world)


def test_a_resend_needs_an_active_endpoint_of_the_same_tenant(
    world: World, receiver: Provider, engine: Engine, database_url: str
) -> None:
    endpoint = world.endpoint(receiver.url)
    world.publish("1")
    world.deliver()
    world.change(endpoint, status="disabled")
    with pytest.raises(Conflict, match="disabled"):
        resend(world)
    with running_world(engine, database_url, "globex") as other, pytest.raises(NotFound):
        resend(other)
    world.remove(endpoint)
    with pytest.raises(Conflict, match="deleted"):
        resend(world)


def test_an_endpoint_is_gone_while_it_is_deleted_and_nothing_locks_up(
    world: World, receiver: Provider
) -> None:
    """A 410 and a deletion of the same endpoint at once take their locks in one order."""
    for turn in range(5):
        endpoint = world.endpoint(receiver.url, f"e{turn}")
        world.publish(*["{}"] * 5)
        source = world.source()
        jobs = [job for job in source.claim(50)[0] if job.target.id == endpoint]
        write = source.record([(job, Outcome(410, ErrorClass.HTTP_4XX)) for job in jobs])
        start = threading.Barrier(2)

        def gone(start: threading.Barrier = start, write: Callable[[], None] = write) -> None:
            start.wait(10)
            write()

        with ThreadPoolExecutor(1) as pool:
            recorded = pool.submit(gone)
            start.wait(10)
            world.remove(endpoint)
            recorded.result(10)
        rest = world.sql("SELECT DISTINCT state FROM hub.delivery WHERE endpoint_id = :id", id=endpoint)
        assert {state for (state,) in rest} <= {"failed", "cancelled"}


def test_an_event_is_kept_for_as_long_as_a_delivery_of_it_lives(world: World, receiver: Provider) -> None:
    """A receiver that is paused for longer than the retention still gets what it missed."""
    endpoint = world.endpoint(receiver.url)
    world.publish("1")
    source = world.source()
    source.hand_back(source.claim(1)[0])()
    world.change(endpoint, status="paused")
    with world.engine.begin() as conn:
        drop_old(conn, datetime.now(UTC).date() + timedelta(days=40), keep_days=30)
        ensure(conn, datetime.now(UTC).date())
    world.change(endpoint, status="active")
    world.deliver()
    assert world.states() == [("done", None)]
