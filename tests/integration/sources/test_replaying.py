"""Kept requests that are fed in again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from hub.queue.contracts import TaskName
from tests.integration.api.conftest import RunningHub
from tests.integration.api.test_app import assert_problem
from tests.integration.sources.provider import SECRET, Sources, event_body, github, stripe

BODY = b'{"n": 1}'


def set_secret(hub: RunningHub, source_id: str, secret: str) -> None:
    body = {"secret": secret, "overlap_seconds": 0}
    assert hub.call("POST", f"/v1/sources/{source_id}/rotate", json=body).status_code == 200


def test_a_refused_request_becomes_an_event_once_its_secret_is_known(
    sources: Sources, hub: RunningHub
) -> None:
    source = sources.create(secrets=[])
    assert sources.send(source, BODY).status_code == 401
    (refused,) = sources.requests(source)
    assert refused["reason"] == "no_secret"
    assert sources.replay(source, refused["id"]).json()["outcome"] == "rejected"

    set_secret(hub, source["id"], "a-wrong-secret")
    still = sources.replay(source, refused["id"]).json()
    assert (still["outcome"], still["reason"], still["event"]) == ("rejected", "signature_mismatch", None)
    assert hub.bell.rings == []

    set_secret(hub, source["id"], SECRET)
    done = sources.replay(source, refused["id"])
    assert done.status_code == 200
    assert (done.json()["outcome"], done.json()["reason"]) == ("accepted", "ok")
    assert hub.bell.rings == [TaskName.DELIVERIES_SEND]
    assert sources.events() == [("code.push", BODY.decode())]
    assert sources.events("id")[0][0].hex in done.json()["event"]
    assert sources.requests(source) == [{k: v for k, v in done.json().items() if k in refused}]


def test_doing_it_twice_or_at_the_same_time_makes_one_event(sources: Sources, hub: RunningHub) -> None:
    source = sources.create(secrets=[], dedupe_window_seconds=0)
    sources.send(source, BODY)
    (refused,) = sources.requests(source)
    set_secret(hub, source["id"], SECRET)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sources.replay(source, refused["id"]), range(8)))
    assert {answer.json()["outcome"] for answer in answers} == {"accepted"}
    assert len({answer.json()["event"] for answer in answers}) == 1
    assert len(sources.events()) == 1


def test_what_was_accepted_stays_as_it_is(sources: Sources) -> None:
    source = sources.create()
    sources.send(source, BODY)
    (accepted,) = sources.requests(source)
    assert sources.replay(source, accepted["id"]).json()["event"] == accepted["event"]
    assert len(sources.events()) == 1


def test_the_same_event_came_meanwhile_by_a_repeat(sources: Sources, hub: RunningHub) -> None:
    source = sources.create(secrets=[])
    sources.send(source, BODY)
    (refused,) = sources.requests(source)
    set_secret(hub, source["id"], SECRET)
    deadline = time.monotonic() + 10
    while sources.send(source, BODY).status_code != 200:
        assert time.monotonic() < deadline
    again = sources.replay(source, refused["id"]).json()
    first = sources.requests(source, outcome="accepted")[0]
    assert (again["outcome"], again["event"]) == ("duplicate", first["event"])
    assert len(sources.events()) == 1


def test_its_age_is_not_held_against_it(sources: Sources) -> None:
    source = sources.create("billing", verifier={"profile": "stripe"})
    body = event_body()
    assert sources.send(source, body, stripe(body, at=time.time() - 3_600)).status_code == 401
    (refused,) = sources.requests(source)
    assert refused["reason"] == "timestamp_too_old"
    assert sources.replay(source, refused["id"]).json()["outcome"] == "accepted"
    assert sources.events() == [("billing.invoice.paid", body.decode())]


def test_what_was_verified_by_a_token_says_why_it_cannot_be(sources: Sources, hub: RunningHub) -> None:
    source = sources.create(verifier={"profile": "gitlab"}, secrets=[])
    sources.send(source, b"{}", {"X-Gitlab-Token": "glt-canary-token"})
    set_secret(hub, source["id"], "glt-canary-token")
    again = sources.replay(source, sources.requests(source)[0]["id"]).json()
    assert again["outcome"] == "rejected"
    assert "Credentials are not kept" in again["detail"]


def test_a_handshake_makes_no_event(sources: Sources) -> None:
    source = sources.create(verifier={"profile": "dropbox"})
    assert sources.send(source, b"", {}, method="GET", query="?challenge=abc").text == "abc"
    (handshake,) = sources.requests(source)
    assert_problem(sources.replay(source, handshake["id"]), 409, "conflict")


def test_changed_bytes_stay_refused(sources: Sources) -> None:
    source = sources.create()
    sources.send(source, BODY + b" ", github(BODY))
    (refused,) = sources.requests(source)
    assert sources.replay(source, refused["id"]).json()["reason"] == "signature_mismatch"
    assert sources.events() == []
