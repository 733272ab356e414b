"""Webhooks end to end: real API, worker and beat processes, a real receiver."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import requests
import standardwebhooks
import svix

from tests.support.receivers import Answer, Inbox, Request
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance


def deliveries(hub: RunningHub, event_id: str) -> list[Any]:
    answer = requests.get(
        f"{hub.url}/v1/events/{event_id}/deliveries",
        headers={"Authorization": f"Bearer {hub.api_key}"},
        timeout=10,
    )
    assert answer.status_code == 200
    found: list[Any] = answer.json()["data"]
    return found


def wait_for_state(hub: RunningHub, event_id: str, state: str) -> Any:
    """The event's only delivery, as soon as it is in this state."""
    until(
        lambda: [one["state"] for one in deliveries(hub, event_id)] == [state],
        what=f"one delivery of {event_id} that is {state}",
    )
    return hub.http.get_delivery(deliveries(hub, event_id)[0]["id"])


def test_a_published_event_arrives_signed_for_both_official_verifiers(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    endpoint = hub.http.create_endpoint(name=word, url=f"{inbox.url}/in", event_types=[f"{word}.*"])
    data = {"amount": 1999, "text": "Grüße, ✓", "nested": {"z": 1, "a": [1.5, None]}}
    receipt = hub.http.publish(f"{word}.paid", data)
    (request,) = inbox.wait(1)
    delivery = wait_for_state(hub, receipt["id"], "done")

    secret = endpoint["signing_secret"]
    assert standardwebhooks.Webhook(secret).verify(request.body, request.headers)["data"] == data
    svix.Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(request.body + b" ", request.headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(secret).verify(request.body + b" ", request.headers)
    assert request.webhook_id == receipt["id"]
    (attempt,) = delivery["attempt_log"]
    assert (attempt["outcome"], attempt["status"], attempt["number"]) == ("succeeded", 200, 1)


def test_a_list_of_a_thousand_arrives_once_each_with_its_own_data(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    receipts = hub.http.publish_many([{"type": word, "data": {"n": n}} for n in range(1000)])
    assert {receipt["status"] for receipt in receipts} == {"accepted"}
    seen = inbox.wait(1000, seconds=30)
    assert Counter(request.webhook_id for request in seen) == Counter(r["id"] for r in receipts)
    by_id = {request.webhook_id: json.loads(request.body)["data"]["n"] for request in seen}
    assert [by_id[receipt["id"]] for receipt in receipts] == list(range(1000))


def test_a_receiver_that_fails_twice_gets_the_same_bytes_a_third_time(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    inbox.answer = lambda _: Answer(500 if len(inbox.requests) < 3 else 204, b"")
    hub.http.create_endpoint(
        name=word,
        url=inbox.url,
        event_types=[word],
        retry_policy={"strategy": "schedule", "delays": [0.1, 0.2]},
    )
    receipt = hub.http.publish(word, {"n": 1})
    delivery = wait_for_state(hub, receipt["id"], "done")
    first, second, third = inbox.requests
    assert first.body == second.body == third.body
    assert first.webhook_id == second.webhook_id == third.webhook_id
    # Jitter only adds to the schedule.
    assert second.at - first.at >= 0.1
    assert third.at - second.at >= 0.2
    assert [(a["outcome"], a["status"]) for a in delivery["attempt_log"]] == [
        ("failed", 500), ("failed", 500), ("succeeded", 204),
    ]  # fmt: skip


def test_a_schedule_that_is_used_up_ends_as_failed_and_a_resend_starts_over(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    inbox.answer = lambda _: Answer(503, b"")
    hub.http.create_endpoint(
        name=word, url=inbox.url, event_types=[word], retry_policy={"strategy": "schedule", "delays": [0.1]}
    )
    receipt = hub.http.publish(word, {})
    delivery = wait_for_state(hub, receipt["id"], "failed")
    assert (delivery["reason"], len(delivery["attempt_log"])) == ("exhausted", 2)
    inbox.answer = lambda _: Answer()
    hub.http.resend_delivery(delivery["id"])
    again = wait_for_state(hub, receipt["id"], "done")
    assert len(again["attempt_log"]) == 3
    assert {request.webhook_id for request in inbox.requests} == {receipt["id"]}
    assert len({request.body for request in inbox.requests}) == 1


def test_a_delivery_that_was_done_can_be_sent_again_and_verifies_anew(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    endpoint = hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    receipt = hub.http.publish(word, {})
    delivery = wait_for_state(hub, receipt["id"], "done")
    hub.http.resend_delivery(delivery["id"])
    first, second = inbox.wait(2)
    assert first.webhook_id == second.webhook_id
    assert first.body == second.body
    standardwebhooks.Webhook(endpoint["signing_secret"]).verify(second.body, second.headers)


def test_410_disables_the_endpoint_holds_what_follows_and_enabling_sends_it(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    inbox.answer = lambda _: Answer(410, b"")
    endpoint = hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    gone = hub.http.publish(word, {"n": 1})
    assert wait_for_state(hub, gone["id"], "failed")["reason"] == "gone"
    assert hub.http.get_endpoint(endpoint["id"])["status"] == "disabled"

    held = [hub.http.publish(word, {"n": n})["id"] for n in (2, 3)]
    for event_id in held:
        assert wait_for_state(hub, event_id, "held")["reason"] == "endpoint_disabled"
    assert len(inbox.requests) == 1

    inbox.answer = lambda _: Answer()
    assert hub.http.update_endpoint(endpoint["id"], status="active")["status"] == "active"
    for event_id in held:
        delivery = wait_for_state(hub, event_id, "done")
        assert [attempt["number"] for attempt in delivery["attempt_log"]] == [1], "holding costs no attempt"
    assert sorted(request.webhook_id for request in inbox.requests[1:]) == sorted(held)


def test_a_paused_endpoint_gets_nothing_until_it_is_resumed(hub: RunningHub, inbox: Inbox, word: str) -> None:
    endpoint = hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    hub.http.update_endpoint(endpoint["id"], status="paused")
    receipt = hub.http.publish(word, {})
    assert wait_for_state(hub, receipt["id"], "held")["reason"] == "endpoint_paused"
    assert inbox.requests == []
    hub.http.update_endpoint(endpoint["id"], status="active")
    wait_for_state(hub, receipt["id"], "done")
    assert [request.webhook_id for request in inbox.requests] == [receipt["id"]]


def test_pausing_holds_what_waits_for_its_retry(hub: RunningHub, inbox: Inbox, word: str) -> None:
    inbox.answer = lambda _: Answer(500, b"")
    endpoint = hub.http.create_endpoint(
        name=word, url=inbox.url, event_types=[word], retry_policy={"strategy": "schedule", "delays": [600]}
    )
    receipt = hub.http.publish(word, {})
    until(lambda: inbox.requests, what="the first attempt")
    until(lambda: deliveries(hub, receipt["id"])[0]["retries_used"] == 1, what="a retry that waits")
    hub.http.update_endpoint(endpoint["id"], status="paused")
    assert wait_for_state(hub, receipt["id"], "held")["reason"] == "endpoint_paused"
    inbox.answer = lambda _: Answer()
    hub.http.update_endpoint(endpoint["id"], status="active")
    # A retry keeps its time; who does not want to wait for it sends it again.
    waiting = wait_for_state(hub, receipt["id"], "due")
    assert waiting["next_attempt_at"] is not None
    hub.http.resend_delivery(waiting["id"])
    wait_for_state(hub, receipt["id"], "done")


def test_a_slow_receiver_does_not_hold_up_another(hub: RunningHub, word: str) -> None:
    with Inbox() as slow, Inbox() as fast:
        first_answered: list[float] = []

        def dawdle(request: Request) -> Answer:
            until(lambda: len(fast.requests) >= 20, what="the fast receiver's share")
            first_answered.append(request.at)
            return Answer()

        slow.answer = dawdle
        hub.http.create_endpoint(name=f"{word}-slow", url=slow.url, event_types=[word])
        hub.http.create_endpoint(name=f"{word}-fast", url=fast.url, event_types=[word])
        hub.http.publish_many([{"type": word, "data": n} for n in range(20)])
        fast.wait(20)
        until(lambda: len(first_answered) == 20, what="the slow receiver's answers")


def test_the_same_request_twice_is_one_event(hub: RunningHub, inbox: Inbox, word: str) -> None:
    hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    url = f"{hub.url}/v1/events"
    headers = {"Authorization": f"Bearer {hub.api_key}", "Idempotency-Key": word}
    body = {"type": word, "data": {"n": 1}}
    first = requests.post(url, json=body, headers=headers, timeout=10)
    second = requests.post(url, json=body, headers=headers, timeout=10)
    other = requests.post(url, json=body | {"data": {"n": 2}}, headers=headers, timeout=10)
    assert (first.status_code, second.status_code, other.status_code) == (202, 202, 422)
    assert first.json()["id"] == second.json()["id"]
    assert (first.json()["status"], second.json()["status"]) == ("accepted", "duplicate")
    assert other.headers["content-type"] == "application/problem+json"
    wait_for_state(hub, first.json()["id"], "done")
    assert hub.query("SELECT count(*) FROM hub.message WHERE type = :type", type=word) == 1
    assert len(inbox.requests) == 1


def test_the_same_event_id_twice_is_one_event(hub: RunningHub, inbox: Inbox, word: str) -> None:
    hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    first = hub.http.publish(word, {"n": 1}, id=f"order-{word}")
    second = hub.http.publish(word, {"n": 1}, id=f"order-{word}")
    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert first["id"] == second["id"]
    wait_for_state(hub, first["id"], "done")
    assert [request.webhook_id for request in inbox.requests] == [f"order-{word}"]
