"""The deliver worker dies in the middle of its calls."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.faults.load import Load, assert_nothing_lost, leased, wait_until_finished
from tests.support.receivers import FastReceiver
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.faults


def test_kill_9_under_load_loses_nothing_and_repeats_only_what_was_in_flight(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    in_flight = 0
    with Load(hub, word) as load:
        for _ in range(3):
            load.wait_for(200)
            until(lambda: len(leased(hub, "delivery")) > 5, what="calls in flight")
            hub.kill("deliver")
            died_with = leased(hub, "delivery")
            in_flight += len(died_with)
            hub.start("deliver")
            wait_until_finished(hub, "delivery", died_with)
    assert in_flight > 0
    assert_nothing_lost(hub, load, receiver, word, in_flight=in_flight)
    assert set(load.statuses()) == {202}, "publishing does not notice"


def test_a_row_whose_workers_die_three_times_is_held_for_a_person(
    hub: RunningHub, receiver: FastReceiver
) -> None:
    """It may be what kills them. Nothing else waits for it."""
    endpoint = hub.http.create_endpoint(
        name="poison", url=f"{receiver.url}/slow/1", event_types=["poison"], timeout_seconds=10
    )
    event = hub.http.publish("poison", {})
    for number in (1, 2, 3):
        until(lambda: len(receiver.seen()) >= number, what=f"call {number}")  # noqa: B023
        hub.kill("deliver")
        hub.start("deliver", wait=False)
    until(
        lambda: [d["state"] for d in hub.http.list_deliveries(endpoint=endpoint["id"])["data"]] == ["held"],
        what="the quarantine",
    )
    (delivery,) = hub.http.list_deliveries(endpoint=endpoint["id"])["data"]
    detail = hub.http.get_delivery(delivery["id"])
    assert detail["reason"] == "quarantined"
    assert [attempt["outcome"] for attempt in detail["attempt_log"]] == ["interrupted"] * 3
    assert "Quarantined" in hub.log("system")
    hub.http.resend_delivery(delivery["id"])
    until(lambda: hub.http.get_delivery(delivery["id"])["state"] == "done", what="the resend")
    assert receiver.ids() == {event["id"]: 4}


def test_after_an_error_that_ends_its_pump_the_same_worker_goes_on(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    """Here: a row that the pump cannot read, put there past all checks (one of the table's too), and mended later."""
    pid = hub.processes["deliver"].pid
    # Longer than the pump waits for its calls: it ends by aborting one.
    hub.http.create_endpoint(
        name=f"{word}-slow", url=f"{receiver.url}/slow/2.5", event_types=[f"{word}.slow"], timeout_seconds=10
    )
    slow = hub.http.publish(f"{word}.slow", {})["id"]
    until(lambda: len(receiver.seen()) == 1, what="the slow call")
    spoil = (
        "UPDATE hub.endpoint SET event_types = ARRAY[NULL]::text[], version = version + 1 WHERE name = :word"
    )
    mend = "UPDATE hub.endpoint SET event_types = ARRAY[:word], version = version + 1 WHERE name = :word"
    failure = "'NoneType' object has no attribute 'endswith'"
    check = "endpoint_event_types_check"
    touch = "UPDATE hub.tenant SET config_version = config_version + 1"
    failures = hub.log("deliver").count(failure)
    with hub.engine.begin() as conn:
        conn.execute(text(f"ALTER TABLE hub.endpoint DROP CONSTRAINT {check}"))
        conn.execute(text(spoil), {"word": word})
        conn.execute(text(touch))
    hub.http.publish(word, {})
    until(lambda: hub.log("deliver").count(failure) > failures, what="the pump's end")
    with hub.engine.begin() as conn:
        conn.execute(text(mend), {"word": word})
        conn.execute(
            text(
                f"ALTER TABLE hub.endpoint ADD CONSTRAINT {check} CHECK (array_position(event_types, NULL) IS NULL)"
            )
        )
        conn.execute(text(touch))
    event = hub.http.publish(word, {})["id"]
    until(lambda: receiver.ids()[event] == 1, what="the next delivery")
    until(
        lambda: not hub.query("SELECT count(*) FROM hub.delivery WHERE finished_at IS NULL"),
        what="all deliveries",
    )
    assert receiver.ids()[slow] == 2
    assert hub.processes["deliver"].pid == pid
