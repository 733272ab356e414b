"""Recovery end to end: an endpoint that failed gets everything again while the hub goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
import requests
import standardwebhooks

from tests.support.receivers import Answer, Inbox, Request
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance

SINCE = timedelta(minutes=10)


def call(hub: RunningHub, method: str, path: str, **options: Any) -> Any:
    answer = requests.request(
        method, f"{hub.url}{path}", headers={"Authorization": f"Bearer {hub.api_key}"}, timeout=10, **options
    )
    assert answer.ok, answer.text
    return answer.json()


def start(hub: RunningHub, kind: str, **fields: Any) -> Any:
    body = {"kind": kind, "since": (datetime.now(UTC) - SINCE).isoformat(), **fields}
    return call(hub, "POST", "/v1/replays", json=body)


def job(hub: RunningHub, replay: Any) -> Any:
    return call(hub, "GET", f"/v1/replays/{replay['id']}")


def make_endpoint(hub: RunningHub, word: str, url: str, name: str = "", **fields: Any) -> Any:
    body = {
        "name": name or word, "url": url, "event_types": [f"{word}.*"],
        "retry_policy": {"strategy": "schedule", "delays": []}, **fields,
    }  # fmt: skip
    return call(hub, "POST", "/v1/endpoints", json=body)


def wait_for_states(hub: RunningHub, endpoint: Any, expected: dict[str, int]) -> None:
    def states() -> dict[str, int]:
        rows = hub.rows(
            "SELECT state, count(*) FROM hub.delivery WHERE endpoint_id = hub.parse_id('ep', :id) GROUP BY state",
            id=endpoint["id"],
        )
        return {row[0]: row[1] for row in rows}

    until(lambda: states() == expected, seconds=60, what=f"deliveries as {expected}")


def ids(requests_: list[Request]) -> set[str]:
    return {request.webhook_id for request in requests_}


def test_an_endpoint_that_failed_gets_everything_again_while_live_traffic_goes_on(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    down = True
    inbox.answer = lambda request: Answer(503 if down and request.path == "/down" else 200)
    endpoint = make_endpoint(hub, word, f"{inbox.url}/down")
    published = hub.http.publish_many([{"type": f"{word}.paid", "data": {"n": n}} for n in range(150)])
    lost = {receipt["id"] for receipt in published}
    # A breaker may have opened meanwhile: what it holds is not lost, and is let through by the pause and activation.
    until(
        lambda: (
            hub.query(
                "SELECT count(*) FROM hub.delivery WHERE endpoint_id = hub.parse_id('ep', :id)",
                id=endpoint["id"],
            )
            == 150
        ),
        what="150 deliveries",
    )
    wait_for_end(hub, endpoint)
    failed = hub.query(
        "SELECT count(*) FROM hub.delivery WHERE state = 'failed' AND endpoint_id = hub.parse_id('ep', :id)",
        id=endpoint["id"],
    )
    assert failed == 150
    seen_before = len(inbox.requests)
    down = False

    tried = start(hub, "failed", endpoint=endpoint["id"], dry_run=True)
    assert (tried["total"], tried["complete"]) == (150, True)
    replay = start(hub, "failed", endpoint=endpoint["id"], rate=50)
    live = set()
    while job(hub, replay)["state"] in ("pending", "running"):
        live.add(hub.http.publish(f"{word}.live", {})["id"])
        time.sleep(0.02)
    wait_for_states(hub, endpoint, {"done": 150 + len(live)})

    again = inbox.requests[seen_before:]
    assert ids(again) == lost | live
    assert len(again) == len(lost) + len(live)
    verifier = standardwebhooks.Webhook(endpoint["signing_secret"])
    firsts = {request.webhook_id: request.body for request in inbox.requests[:seen_before]}
    for request in again:
        verifier.verify(request.body, request.headers)
        assert firsts.get(request.webhook_id, request.body) == request.body
    done = job(hub, replay)
    assert (done["state"], done["requeued"], done["outcomes"]) == ("done", 150, {"done": 150})
    sent_again = sorted(request.at for request in again if request.webhook_id in lost)
    # At 50 a second, of which one second's may come at once after a wait.
    assert sent_again[-1] - sent_again[0] > 1


def wait_for_end(hub: RunningHub, endpoint: Any) -> None:
    """Until every delivery has ended; a breaker that holds some of them is reset by hand."""

    def ended() -> bool:
        path = f"/v1/endpoints/{endpoint['id']}"
        held = hub.query(
            "SELECT hold FROM hub.delivery_lane WHERE endpoint_id = hub.parse_id('ep', :id)",
            id=endpoint["id"],
        )
        if held is not None:
            for status in ("paused", "active"):
                call(hub, "PATCH", path, json={"status": status})
        left = hub.query(
            "SELECT count(*) FROM hub.delivery WHERE state IN ('due', 'leased')"
            " AND endpoint_id = hub.parse_id('ep', :id)",
            id=endpoint["id"],
        )
        return bool(left == 0)

    until(ended, seconds=60, what="the end of all deliveries")


def test_a_new_endpoint_gets_what_it_missed_exactly_once(hub: RunningHub, inbox: Inbox, word: str) -> None:
    receipts = hub.http.publish_many([{"type": f"{word}.paid", "data": {}} for _ in range(30)])
    hub.http.publish_many([{"type": f"{word}other.paid", "data": {}} for _ in range(5)])
    until(
        lambda: hub.query("SELECT count(*) FROM hub.outbox o JOIN hub.message m ON m.id = o.message_id"
                          " WHERE m.type LIKE :type", type=f"{word}%") == 0,
        what="fan-out to nobody",
    )  # fmt: skip
    endpoint = make_endpoint(hub, word, inbox.url)
    replay = start(hub, "missing", endpoint=endpoint["id"], rate=1000)
    wait_for_states(hub, endpoint, {"done": 30})
    second = start(hub, "missing", endpoint=endpoint["id"], rate=1000)
    until(lambda: job(hub, second)["state"] == "done", what="the second replay")
    assert job(hub, replay)["requeued"] == 30
    assert job(hub, second)["requeued"] == 0
    assert len(inbox.requests) == 30
    assert ids(inbox.requests) == {receipt["id"] for receipt in receipts}


def test_a_replay_of_thousands_does_not_hold_up_live_events_and_survives_its_worker(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    count = 3_000
    replayed = make_endpoint(hub, word, f"{inbox.url}/replayed", f"{word}-replayed")
    for _ in range(count // 1_000):
        hub.http.publish_many([{"type": f"{word}.old", "data": {}} for _ in range(1_000)])
    wait_for_states(hub, replayed, {"done": count})
    make_endpoint(hub, word, f"{inbox.url}/live", f"{word}-live", event_types=[f"{word}.live"])
    replay = start(hub, "all", endpoint=replayed["id"], event_types=[f"{word}.old"], rate=500)
    waits = []
    killed = False
    while job(hub, replay)["state"] in ("pending", "running"):
        before = time.time()
        event = hub.http.publish(f"{word}.live", {})["id"]
        until(
            lambda event=event: any(r.path == "/live" and r.webhook_id == event for r in inbox.requests),  # type: ignore[misc]
            what="a live event",
        )
        waits.append(time.time() - before)
        if not killed and job(hub, replay)["requeued"] > 500:
            hub.kill("system")
            hub.start("system")
            killed = True
    assert killed
    done = job(hub, replay)
    assert (done["state"], done["selected"], done["requeued"]) == ("done", count, count)
    until(lambda: job(hub, replay)["outcomes"] == {"done": count}, seconds=60, what="all of them delivered")
    rows = hub.rows(
        "SELECT d.replay_no, count(*) FROM hub.delivery d JOIN hub.message m ON m.id = d.message_id"
        " WHERE d.endpoint_id = hub.parse_id('ep', :id) AND m.type = :type GROUP BY 1",
        id=replayed["id"], type=f"{word}.old",
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [(1, count)]
    print(
        f"live events beside a replay: median {median(waits) * 1000:.0f} ms, worst {max(waits) * 1000:.0f} ms"
    )
    assert median(waits) < 0.5
