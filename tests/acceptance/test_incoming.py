"""Incoming webhooks end to end: a provider calls a running hub, an endpoint gets the event."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import standardwebhooks
import stripe as stripe_library

from tests.integration.sources.provider import SECRET, event_body, github, stripe
from tests.support.receivers import Inbox
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance


def call(hub: RunningHub, method: str, path: str, **options: Any) -> Any:
    answer = requests.request(
        method, f"{hub.url}{path}", headers={"Authorization": f"Bearer {hub.api_key}"}, timeout=10, **options
    )
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def make_source(hub: RunningHub, name: str, profile: str = "github", **fields: Any) -> Any:
    body = {"name": name, "verifier": {"profile": profile}, "secrets": [SECRET], **fields}
    return call(hub, "POST", "/v1/sources", json=body)


def send(source: Any, body: bytes, headers: dict[str, str]) -> requests.Response:
    return requests.post(source["url"], data=body, headers=headers, timeout=15)


def came(hub: RunningHub, source: Any, **query: Any) -> Any:
    """What came to a source, newest first."""
    return call(hub, "GET", f"/v1/sources/{source['id']}/requests", params=query)["data"]


def test_a_github_webhook_reaches_an_endpoint_signed_by_the_hub(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    endpoint = hub.http.create_endpoint(name=word, url=inbox.url, event_types=[f"{word}.*"])
    source = make_source(hub, word)
    body = b'{"ref":"refs/heads/main",  "size": 12345678901234567890123}'
    for _ in range(3):
        assert send(source, body, github(body)).status_code == 200
    other = github(body, delivery="d-2")
    assert send(source, body, other).status_code == 200
    seen = inbox.wait(2)
    for request in seen:
        assert b'"data":' + body in request.body
        payload = standardwebhooks.Webhook(endpoint["signing_secret"]).verify(request.body, request.headers)
        assert payload["type"] == f"{word}.push"
    assert {request.webhook_id for request in seen} == {
        one["event"] for one in came(hub, source, outcome="accepted")
    }
    until(
        lambda: hub.query("SELECT count(*) FROM hub.message WHERE type = :type", type=f"{word}.push") == 2,
        what="two events, however often each came",
    )
    assert len(inbox.requests) == 2


def test_a_stripe_webhook_reaches_an_endpoint(hub: RunningHub, inbox: Inbox, word: str) -> None:
    hub.http.create_endpoint(name=word, url=inbox.url, event_types=[f"{word}.invoice.paid"])
    source = make_source(hub, word, "stripe")
    body = event_body(f"evt_{word}")
    headers = stripe(body)
    # Stripe's own library agrees that this is how it signs.
    stripe_library.WebhookSignature.verify_header(body.decode(), headers["Stripe-Signature"], SECRET)
    assert send(source, body, headers).status_code == 200
    (request,) = inbox.wait(1)
    assert json.loads(request.body)["data"] == json.loads(body)

    assert send(source, body + b" ", headers).status_code == 401
    assert send(source, body, stripe(body, at=time.time() - 3_600)).status_code == 401
    assert send(source, body, headers).status_code == 200
    assert [one["reason"] for one in came(hub, source, outcome="rejected")] == [
        "timestamp_too_old", "signature_mismatch",
    ]  # fmt: skip
    assert len(came(hub, source, outcome="accepted")) == 1


def test_a_request_that_was_refused_is_fed_in_again_and_arrives(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    hub.http.create_endpoint(name=word, url=inbox.url, event_types=[f"{word}.*"])
    source = make_source(hub, word, secrets=["not-this-one"])
    assert send(source, b"{}", github(b"{}")).status_code == 401
    (refused,) = came(hub, source)
    call(hub, "POST", f"/v1/sources/{source['id']}/rotate", json={"secret": SECRET})
    done = call(hub, "POST", f"/v1/sources/{source['id']}/requests/{refused['id']}/replay")
    assert done["outcome"] == "accepted"
    (request,) = inbox.wait(1)
    assert request.webhook_id == done["event"]


def test_who_is_paused_or_gone_is_told_so(hub: RunningHub, word: str) -> None:
    source = make_source(hub, word)
    body = b"{}"
    call(hub, "PATCH", f"/v1/sources/{source['id']}", json={"status": "paused"})
    until(lambda: send(source, body, github(body)).status_code == 503, what="the pause")
    call(hub, "PATCH", f"/v1/sources/{source['id']}", json={"status": "active"})
    until(lambda: send(source, body, github(body)).status_code == 200, what="the resumption")
    call(hub, "DELETE", f"/v1/sources/{source['id']}")
    until(lambda: send(source, body, github(body)).status_code == 404, what="the deletion")


def test_what_is_too_large_or_too_slow_is_cut_off(hub: RunningHub, word: str) -> None:
    source = make_source(hub, word)
    parts = urlsplit(source["url"])
    address = (parts.hostname or "", parts.port or 0)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {{}}\r\n\r\n"
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head.format(hub.settings.api_max_body_bytes + 1).encode())
        assert connection.recv(4_096).startswith(b"HTTP/1.1 413 ")
    started = time.monotonic()
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head.format(100).encode() + b"{")
        assert connection.recv(4_096).startswith(b"HTTP/1.1 408 ")
    assert 9 < time.monotonic() - started < 18
    assert send(source, b"{}", github(b"{}")).status_code == 200


def test_a_flood_of_forged_requests_leaves_a_bounded_trace_and_no_event(hub: RunningHub, word: str) -> None:
    source = make_source(hub, word)
    body = b"x" * 70_000
    with requests.Session() as session, ThreadPoolExecutor(4) as pool:
        answers = pool.map(
            lambda _: session.post(source["url"], data=body, timeout=15).status_code, range(400)
        )
        assert set(answers) == {401}
    rows, kept = hub.rows(
        "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM hub.inbound WHERE path = :path",
        path=urlsplit(source["url"]).path,
    )[0]
    assert 1 <= rows <= 125
    assert kept == 0
    assert send(source, b"{}", github(b"{}")).status_code == 200
    assert came(hub, source)[0]["outcome"] == "accepted"
