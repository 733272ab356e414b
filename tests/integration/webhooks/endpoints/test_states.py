"""Pausing, discarding, the ownership challenge, and what a receiver may decide."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
import standardwebhooks

from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.webhooks.endpoints.conftest import Api, row_id
from tests.support.waiting import until


def test_a_paused_endpoint_gets_nothing_until_it_is_resumed(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url)
    path = f"/endpoints/{made['id']}"
    paused = api.post(f"{path}/pause")
    assert (paused["status"], paused["status_reason"], paused["hold"], paused["discarded"]) == (
        "paused", "by_user", "endpoint_paused", 0,
    )  # fmt: skip
    api.world.publish("1", "2", "3")
    api.world.deliver()
    assert receiver.calls == []
    assert api.world.seen_states() == [("held", "endpoint_paused")] * 3
    assert api.get(path)["monitoring"]["waiting"] == 3
    rings = len(api.bell.rings)
    resumed = api.post(f"{path}/resume", {"backlog": "send"})
    assert (resumed["status"], resumed["hold"], resumed["discarded"]) == ("active", None, 0)
    assert len(api.bell.rings) == rings + 1
    api.world.deliver()
    assert len(receiver.calls) == 3


@pytest.mark.parametrize("ordering", ["best_effort", "strict"])
@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_backlog_can_be_discarded_and_what_comes_later_is_sent(
    api: Api, receiver: Provider, action: str, ordering: str
) -> None:
    made = api.make(receiver.url, ordering=ordering)
    path = f"/endpoints/{made['id']}"
    api.post(f"{path}/pause")
    api.world.publish("1", "2", "3")
    if ordering == "strict":
        api.world.sql("UPDATE hub.message SET ordering_key = 'k'")
        api.world.sql("UPDATE hub.outbox SET ordering_key = 'k'")
    api.world.deliver()
    assert api.post(f"{path}/{action}", {"backlog": "discard"})["discarded"] == 3
    assert set(api.world.states()) == {("cancelled", "discarded")}
    assert api.world.sql("SELECT count(*) FROM hub.delivery_waiting") == [(0,)]
    assert api.world.sql("SELECT count(*) FROM hub.delivery_order") == [(0,)]
    api.post(f"{path}/resume")
    api.world.publish("4")
    api.world.deliver()
    assert [json.loads(call.body)["data"] for call in receiver.calls] == [4]


def test_discarding_takes_the_quarantined_and_leaves_other_endpoints_alone(api: Api) -> None:
    made, other = api.make(), api.make()
    for one in (made, other):
        api.post(f"/endpoints/{one['id']}/pause")
    api.world.publish("1", "2")
    api.world.deliver()
    api.world.sql(
        "WITH q AS (UPDATE hub.delivery SET state = 'held', reason = 'quarantined', due_at = '9999-12-31'"
        " WHERE endpoint_id = :id RETURNING id)"
        " UPDATE hub.delivery_waiting w SET due_at = '9999-12-31' FROM q WHERE w.id = q.id",
        id=row_id(made),
    )
    assert api.post(f"/endpoints/{made['id']}/resume", {"backlog": "discard"})["discarded"] == 2
    assert api.get(f"/endpoints/{other['id']}")["monitoring"]["waiting"] == 2


def test_a_disabled_endpoint_comes_back_by_its_status(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url)
    path = f"/endpoints/{made['id']}"
    assert api.call("PATCH", path, json={"status": "disabled"}).json()["hold"] == "endpoint_disabled"
    api.world.publish("1")
    api.world.deliver()
    assert receiver.calls == []
    assert api.call("PATCH", path, json={"status": "active"}).json()["status_reason"] is None
    api.world.deliver()
    assert len(receiver.calls) == 1


def test_gone_disables_and_says_so(api: Api, receiver: Provider) -> None:
    receiver.default = lambda _: Answer(410)
    made = api.make(receiver.url)
    api.world.publish("1")
    api.world.deliver()
    found = api.get(f"/endpoints/{made['id']}")
    assert (found["status"], found["status_reason"], found["hold"]) == (
        "disabled",
        "gone",
        "endpoint_disabled",
    )


def test_gone_at_the_old_url_does_not_disable_the_new_one(api: Api, receiver: Provider) -> None:
    gate = threading.Event()
    receiver.default = lambda _: Answer(410, gate=gate)
    made = api.make(f"{receiver.url}/old")
    api.world.publish("1")
    pump = threading.Thread(target=api.world.deliver)
    pump.start()
    try:
        until(lambda: receiver.calls, what="the call to the old URL")
        api.call("PATCH", f"/endpoints/{made['id']}", json={"url": f"{receiver.url}/new"})
    finally:
        gate.set()
        pump.join(20)
    found = api.get(f"/endpoints/{made['id']}")
    assert (found["status"], found["hold"]) == ("active", None)
    assert api.world.states() == [("failed", "gone")]


# -- the challenge ----------------------------------------------------------------------------------------------------


def echo_json(call: Call) -> Answer:
    return Answer(200, json.dumps({"challenge": json.loads(call.body)["challenge"], "more": 1}).encode())


def echo_text(call: Call) -> Answer:
    return Answer(202, f"  {json.loads(call.body)['challenge']}\n".encode())


@pytest.mark.parametrize("answer", [echo_json, echo_text], ids=["json", "text"])
def test_nothing_is_sent_before_the_receiver_answered_for_its_url(
    api: Api, receiver: Provider, answer: Callable[[Call], Answer]
) -> None:
    receiver.default = answer
    made = api.make(
        f"{receiver.url}/hook",
        challenge=True,
        auth={"mode": "bearer", "token": "t" * 20},
        filter={"data": 1},
        transformations=[{"pick": ["data"]}],
        batch={"size": 10},
    )
    path = f"/endpoints/{made['id']}"
    assert (made["status"], made["status_reason"], made["hold"]) == (
        "unverified", "not_verified", "endpoint_unverified",
    )  # fmt: skip
    api.world.publish("1")
    api.world.deliver()
    assert receiver.calls == []
    assert api.call("PATCH", path, json={"status": "active"}).status_code == 409
    assert api.call("POST", f"{path}/resume").status_code == 409

    verified = api.post(f"{path}/verify")
    assert (verified["status"], verified["status_reason"], verified["hold"]) == ("active", None, None)
    (call,) = receiver.calls
    assert (call.method, call.path, call.headers["authorization"]) == ("POST", "/hook", "Bearer " + "t" * 20)
    standardwebhooks.Webhook(made["signing_secret"]).verify(call.body, call.headers)
    assert json.loads(call.body)["type"] == "endpoint.challenge"
    api.world.everything_due()
    api.world.deliver()
    assert len(receiver.calls) == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda _: Answer(200, b"{}"), "nor the word alone"),
        (lambda _: Answer(200, b'{"challenge": 7}'), "nor the word alone"),
        (lambda call: Answer(500, call.body), "500"),
        (lambda _: Answer(302, headers={"Location": "/elsewhere"}), "redirect"),
        (lambda call: Answer(200, b"x" * 100_000 + call.body), "nor the word alone"),
    ],
    ids=["nothing", "number", "fault", "redirect", "endless"],
)
def test_another_answer_does_not_verify(
    api: Api, receiver: Provider, answer: Callable[[Call], Answer], says: str
) -> None:
    receiver.default = answer
    made = api.make(receiver.url, challenge=True)
    refused = api.call("POST", f"/endpoints/{made['id']}/verify")
    assert refused.status_code == 409
    assert says in refused.json()["detail"]
    assert len(receiver.calls) == 1
    assert api.get(f"/endpoints/{made['id']}")["status"] == "unverified"


def test_a_receiver_that_is_not_there_does_not_verify(api: Api) -> None:
    made = api.make("http://127.0.0.1:9/", challenge=True)
    assert api.call("POST", f"/endpoints/{made['id']}/verify").status_code == 409


def test_another_url_has_to_be_verified_again(api: Api, receiver: Provider) -> None:
    receiver.default = echo_json
    made = api.make(receiver.url, challenge=True)
    path = f"/endpoints/{made['id']}"
    api.post(f"{path}/verify")
    moved = api.call("PATCH", path, json={"url": f"{receiver.url}/new"}).json()
    assert (moved["status"], moved["hold"]) == ("unverified", "endpoint_unverified")
    back = api.call("PATCH", path, json={"url": receiver.url}).json()
    assert (back["status"], back["hold"]) == ("active", None)


def test_pausing_is_no_way_around_the_challenge(api: Api, receiver: Provider) -> None:
    receiver.default = echo_json
    made = api.make(receiver.url, challenge=True)
    path = f"/endpoints/{made['id']}"
    assert api.post(f"{path}/pause")["status"] == "paused"
    assert api.call("POST", f"{path}/resume").status_code == 409
    assert api.post(f"{path}/verify")["status"] == "paused"
    assert api.post(f"{path}/resume")["status"] == "active"


def test_the_challenge_can_be_given_up(api: Api) -> None:
    made = api.make(challenge=True)
    path = f"/endpoints/{made['id']}"
    assert api.call("PATCH", path, json={"challenge": False}).json()["status"] == "active"
    assert api.call("PATCH", path, json={"challenge": True}).json()["status"] == "unverified"
