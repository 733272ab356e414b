"""Test events: to one endpoint alone, through the ledger."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event

from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.endpoints.conftest import Api
from tests.support.waiting import until


def test_a_test_event_reaches_one_endpoint_whatever_it_subscribes_to(api: Api, receiver: Provider) -> None:
    made = api.make(f"{receiver.url}/mine", event_types=["invoice.paid"])
    api.make(f"{receiver.url}/other")
    sent = api.call("POST", f"/endpoints/{made['id']}/test", json={"type": "a.b", "data": {"x": [1, "ü"]}})
    assert sent.status_code == 202
    assert (sent.json()["state"], sent.json()["attempts"]) == ("due", 0)
    assert api.world.sql("SELECT count(*) FROM hub.outbox") == [(0,)]
    api.world.deliver()
    (call,) = receiver.calls
    assert call.path == "/mine"
    body = json.loads(call.body)
    assert (body["type"], body["data"]) == ("a.b", {"x": [1, "ü"]})
    event = api.get(f"/events/{sent.json()['event']}")
    assert (event["source"], event["state"]) == ("test", "done")
    delivery = api.get(f"/deliveries/{sent.json()['delivery']}")
    assert (delivery["state"], delivery["attempt_log"][0]["status"]) == ("done", 200)


def test_one_can_wait_for_what_comes_of_it(api: Api, receiver: Provider) -> None:
    receiver.default = lambda _: Answer(503)
    made = api.make(receiver.url)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.post, f"/endpoints/{made['id']}/test?wait=15")
        until(api.world.states, what="the delivery to be written")
        api.world.deliver()
        sent = asked.result(20)
    assert (sent["state"], sent["attempts"], sent["status"], sent["error_class"]) == (
        "due",
        1,
        503,
        "http_5xx",
    )
    assert sent["total_ms"] > 0


@pytest.mark.parametrize("path", ["/endpoints/{endpoint}/test", "/deliveries/{delivery}"])
def test_a_delivery_and_its_attempts_are_of_one_moment(path: str, api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url)
    first = api.post(f"/endpoints/{made['id']}/test")
    read = path.format(endpoint=made["id"], delivery=first["delivery"])
    delivered: list[bool] = []

    def deliver_amid(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # Between the read of the delivery and that of its attempts.
        if "FROM hub.delivery LEFT OUTER JOIN" in statement and not delivered:
            delivered.append(True)
            api.world.deliver()

    event.listen(api.world.engine, "after_cursor_execute", deliver_amid)
    try:
        seen = api.post(read) if read.endswith("/test") else api.get(read)
    finally:
        event.remove(api.world.engine, "after_cursor_execute", deliver_amid)
    attempts = len(seen["attempt_log"]) if "attempt_log" in seen else int(seen["status"] is not None)
    assert (seen["state"], seen["attempts"], attempts) == ("due", 0, 0)
    assert delivered
    assert set(api.world.states()) == {("done", None)}


def test_waiting_in_vain_ends(api: Api) -> None:
    made = api.make()
    assert api.post(f"/endpoints/{made['id']}/test?wait=0.3")["attempts"] == 0


def test_a_test_event_that_cannot_be_is_refused(api: Api) -> None:
    made = api.make()
    path = f"/endpoints/{made['id']}/test"
    assert api.refused("POST", path, {"type": "not a type"}) == {"type"}
    assert api.refused("POST", path, {"url": "x"}) == {"url"}
    assert api.call("POST", f"{path}?wait=16").status_code == 422
    api.post(f"/endpoints/{made['id']}/pause")
    assert api.call("POST", path).status_code == 409
    assert api.world.sql("SELECT count(*) FROM hub.message") == [(0,)]
