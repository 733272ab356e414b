"""Requests of providers: what is answered, what is kept, what becomes an event."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import event as sql_event

from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.api.app import create_app
from hub.core.ids import Kind, format_id, new_uuid
from hub.queue.contracts import TaskName
from hub.sources.intake import KEPT
from hub.sources.reading import BodyReader
from hub.sources.sampling import BURST
from hub.web.services import Services
from tests.integration.api.conftest import Bell, RunningHub, serving, wait_for
from tests.integration.api.test_app import assert_problem
from tests.integration.sources.provider import SECRET, Sources, event_body, github, stripe

BODY = b'{"ref": "refs/heads/main",  "n": 1.10, "big": 123456789012345678901234567890}'


@contextmanager
def served(services: Services, bell: Bell, tenant: str = "acme") -> Iterator[RunningHub]:
    """A hub with settings of the test's own."""
    with services.engine.begin() as conn:
        opened = open_tenant(conn, tenant)
        _, token = issue_key(conn, opened.id, "admin", [Scope.ADMIN])
    app = create_app(services)
    with serving(app, services.settings) as url:
        yield RunningHub(url, app, services, bell, opened, token.reveal())


def test_a_signed_request_becomes_an_event_byte_for_byte(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    answer = sources.send(source, BODY)
    assert (answer.status_code, answer.content) == (200, b"")
    assert sources.events("type, data, source") == [("code.push", BODY.decode(), "incoming")]
    assert hub.bell.rings == [TaskName.DELIVERIES_SEND]
    (kept,) = sources.requests(source)
    assert (kept["outcome"], kept["reason"], kept["provider_event_id"], kept["provider_event_type"]) == (
        "accepted", "ok", "d-1", "push",
    )  # fmt: skip
    assert (kept["peer"], kept["method"], kept["path"]) == ("127.0.0.1", "POST", urlsplit(source["url"]).path)
    event = hub.call("GET", f"/v1/events/{kept['event']}").json()
    assert event["type"] == "code.push"
    # Its webhook-id is ours: an id of the provider's choice may hold what a webhook-id must not.
    assert event["event_id"] is None
    detail = sources.request(source, kept["id"])
    assert (detail["body"], detail["body_encoding"]) == (BODY.decode(), "text")
    assert detail["headers"]["x-github-delivery"] == "d-1"


def test_stripe_is_verified_too_and_named_by_the_template(sources: Sources) -> None:
    source = sources.create("billing", verifier={"profile": "stripe"}, event_type="payments.{provider_type}")
    assert sources.send(source, event_body(), stripe(event_body())).status_code == 200
    assert sources.events() == [("payments.invoice.paid", event_body().decode())]


def test_the_source_chooses_what_is_answered(sources: Sources) -> None:
    source = sources.create(response={"status": 202, "body": "<Response/>", "content_type": "text/xml"})
    answer = sources.send(source, BODY)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (
        202,
        "<Response/>",
        "text/xml",
    )


def test_a_repeat_is_answered_alike_and_makes_no_second_event(sources: Sources) -> None:
    source = sources.create()
    other_bytes = BODY + b" "
    for body in (BODY, BODY, other_bytes):
        assert sources.send(source, body, github(body, delivery="same")).status_code == 200
    assert len(sources.events()) == 1
    kept = sources.requests(source)
    assert [one["outcome"] for one in kept] == ["duplicate", "duplicate", "accepted"]
    assert len({one["event"] for one in kept}) == 1
    assert sources.request(source, kept[0]["id"])["body"] is None
    assert sources.send(source, BODY, github(BODY, delivery="other")).status_code == 200
    assert len(sources.events()) == 2


def test_repeats_at_the_same_time_make_one_event(sources: Sources) -> None:
    source = sources.create()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sources.send(source, BODY), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(sources.events()) == 1


def test_two_sources_do_not_share_their_ids(sources: Sources) -> None:
    for name in ("one", "two"):
        assert sources.send(sources.create(name), BODY).status_code == 200
    assert len(sources.events()) == 2


def test_after_the_window_the_same_id_is_a_new_event(sources: Sources) -> None:
    source = sources.create(dedupe_window_seconds=600)
    sources.send(source, BODY)
    sources.sql("UPDATE hub.inbound_key SET expires_at = expires_at - interval '599 seconds'")
    sources.send(source, BODY)
    assert len(sources.events()) == 1
    sources.sql("UPDATE hub.inbound_key SET expires_at = now()")
    sources.send(source, BODY)
    sources.send(source, BODY)
    assert len(sources.events()) == 2


def test_without_a_window_every_request_is_an_event(sources: Sources) -> None:
    source = sources.create(dedupe_window_seconds=0)
    for _ in range(2):
        sources.send(source, BODY)
    assert len(sources.events()) == 2
    assert sources.sql("SELECT count(*) FROM hub.inbound_key") == [(0,)]


@pytest.mark.parametrize(("dedupe_by", "made"), [("id", 2), ("body", 1)])
def test_what_has_no_id_is_told_apart_only_where_the_source_says_so(
    sources: Sources, dedupe_by: str, made: int
) -> None:
    source = sources.create(verifier={"profile": "dropbox"}, dedupe_by=dedupe_by)
    signature = github(BODY)["X-Hub-Signature-256"].removeprefix("sha256=")
    for _ in range(2):
        headers = {"X-Dropbox-Signature": signature, "Content-Type": "application/json"}
        assert sources.send(source, BODY, headers).status_code == 200
    assert len(sources.events()) == made


FORGED = [
    ("nothing signed", {"Content-Type": "application/json"}, BODY),
    ("another secret", github(BODY, secret="wrong"), BODY),
    ("changed bytes", github(BODY), BODY + b" "),
    ("no signature at all", github(BODY) | {"X-Hub-Signature-256": "sha256="}, BODY),
]


def test_what_is_not_verified_is_refused_without_saying_why_and_kept(
    sources: Sources, subtests: pytest.Subtests
) -> None:
    source = sources.create()
    answers = set()
    for name, headers, body in FORGED:
        with subtests.test(name):
            answer = sources.send(source, body, headers)
            problem = assert_problem(answer, 401, "unverified")
            assert answer.headers["www-authenticate"] == "Webhook-Signature"
            answers.add(json.dumps({k: v for k, v in problem.items() if k != "request_id"}))
    assert len(answers) == 1
    assert sources.events() == []
    kept = sources.requests(source, outcome="rejected")
    assert len(kept) == len(FORGED)
    assert {one["reason"] for one in kept} == {"missing_header", "signature_mismatch", "malformed_header"}
    assert all(one["detail"] for one in kept)
    assert sources.requests(source, outcome="accepted") == []


def test_an_old_signature_is_refused(sources: Sources) -> None:
    source = sources.create("billing", verifier={"profile": "stripe"})
    body = event_body()
    assert sources.send(source, body, stripe(body, at=time.time() - 3_600)).status_code == 401
    assert [one["reason"] for one in sources.requests(source)] == ["timestamp_too_old"]


def test_an_id_that_does_not_exist_is_not_found_whatever_it_looks_like(
    sources: Sources, hub: RunningHub
) -> None:
    source = sources.create()
    assert sources.send(source, BODY).status_code == 200
    assert hub.call("DELETE", f"/v1/sources/{source['id']}").status_code == 204
    wait_for(lambda: sources.send(source, BODY).status_code == 404, "the deletion to be seen")
    texts = set()
    for path in (
        f"/in/{source['id']}",
        f"/in/{format_id(Kind.SOURCE, new_uuid())}",
        f"/in/{format_id(Kind.ENDPOINT, new_uuid())}",
        "/in/src_1",
        "/in/%FF",
    ):
        answer = requests.post(hub.url + path, data=BODY, headers=github(BODY), timeout=10)
        problem = assert_problem(answer, 404, "not_found")
        texts.add(problem["detail"])
    assert len(texts) == 1
    assert requests.delete(source["url"], timeout=10).status_code == 405


def test_ids_that_do_not_exist_are_remembered_and_asked_for_together(
    sources: Sources, hub: RunningHub
) -> None:
    statements: list[str] = []
    sql_event.listen(
        hub.services.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, *_: statements.append(statement),
    )
    paths = [f"/in/{format_id(Kind.SOURCE, new_uuid())}" for _ in range(5)]
    session = requests.Session()
    for _ in range(5):
        for path in paths:
            assert session.post(hub.url + path, timeout=10).status_code == 404
    # One look for each id, or a second one on a slow machine, where a look is forgotten meanwhile.
    assert len([one for one in statements if "hub.source" in one]) <= 15


def test_a_paused_source_tells_to_come_later_and_resumes(sources: Sources) -> None:
    source = sources.create()
    assert sources.send(source, BODY).status_code == 200
    sources.change(source, status="paused")
    wait_for(lambda: sources.send(source, BODY).status_code == 503, "the pause to be seen")
    answer = sources.send(source, BODY)
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "300"
    sources.change(source, status="active")
    wait_for(lambda: sources.send(source, BODY).status_code == 200, "the resumption to be seen")


def test_a_head_request_finds_somebody_there(sources: Sources) -> None:
    source = sources.create()
    assert requests.head(source["url"], timeout=10).status_code == 200
    assert requests.head(source["url"][:-1] + "g", timeout=10).status_code == 404
    assert sources.requests(source) == []


def test_a_handshake_is_answered_and_makes_no_event(sources: Sources) -> None:
    source = sources.create(verifier={"profile": "meta", "verify_token": "chosen"})
    query = "?hub.mode=subscribe&hub.verify_token={}&hub.challenge=1158201444"
    answer = sources.send(source, b"", {}, method="GET", query=query.format("chosen"))
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert sources.send(source, b"", {}, method="GET", query=query.format("guessed")).status_code == 403
    assert sources.events() == []
    kept = sources.requests(source)
    assert [one["outcome"] for one in kept] == ["rejected", "handshake"]
    assert "chosen" not in json.dumps(kept)


def test_a_body_that_is_no_json_is_wrapped(sources: Sources) -> None:
    source = sources.create()
    body = b"\xff\x00<xml>"
    assert sources.send(source, body, github(body) | {"Content-Type": "text/xml"}).status_code == 200
    data = json.loads(sources.events("data")[0][0])
    assert (data["content_type"], base64.b64decode(data["base64"])) == ("text/xml", body)
    (kept,) = sources.requests(source)
    detail = sources.request(source, kept["id"])
    assert (detail["body_encoding"], base64.b64decode(detail["body"])) == ("base64", body)


def test_what_postgres_cannot_store_does_not_stop_an_event(sources: Sources) -> None:
    source = sources.create("billing", verifier={"profile": "stripe"})
    body = b'{"id": "evt_\\u0000\\ud800", "type": "a\\u0000b", "data": 1}'
    assert sources.send(source, body, stripe(body)).status_code == 200
    data = json.loads(sources.events("data")[0][0])
    assert base64.b64decode(data["base64"]) == body


def test_credentials_are_kept_nowhere(sources: Sources) -> None:
    source = sources.create(verifier={"profile": "gitlab"}, secrets=["glt-canary-token"])
    headers = {
        "X-Gitlab-Token": "glt-canary-token",
        "X-Gitlab-Event": "Push Hook",
        "X-Copy": "=glt-canary-token",
    }
    assert sources.send(source, b"{}", headers, query="?k=glt-canary-token").status_code == 200
    assert sources.send(source, b"{}", headers | {"X-Gitlab-Token": "another"}).status_code == 401
    everything = str(sources.sql("SELECT s::text, i::text FROM hub.source s, hub.inbound i"))
    assert "glt-canary-token" not in everything
    assert "another" not in everything
    assert len(sources.requests(source)) == 2


# -- who may call -----------------------------------------------------------------------------------------------------


def test_an_address_that_is_not_on_the_list_is_forbidden_and_seen(sources: Sources) -> None:
    source = sources.create(ip_allow_list=["192.0.2.0/24"])
    headers = github(BODY) | {"X-Forwarded-For": "192.0.2.1"}
    assert_problem(sources.send(source, BODY, headers), 403, "forbidden")
    (kept,) = sources.requests(source)
    assert (kept["outcome"], kept["reason"], kept["peer"]) == ("rejected", "ip_not_allowed", "127.0.0.1")
    listed = sources.create("listed", ip_allow_list=["127.0.0.0/8"])
    assert sources.send(listed, BODY).status_code == 200


def test_a_trusted_proxy_tells_who_calls(services: Services, bell: Bell) -> None:
    trusting = services.settings.model_copy(update={"trusted_proxies": ("127.0.0.0/8",)})
    with served(replace(services, settings=trusting), bell) as hub:
        sources = Sources(hub)
        source = sources.create(ip_allow_list=["192.0.2.0/24"])
        for told, status in (("192.0.2.1", 200), ("192.0.2.1, 198.51.100.1", 403), ("", 403)):
            assert sources.send(source, BODY, github(BODY) | {"X-Forwarded-For": told}).status_code == status
        assert [one["peer"] for one in sources.requests(source)] == ["127.0.0.1", "198.51.100.1", "192.0.2.1"]


def test_the_public_address_is_shown_and_is_what_was_signed(services: Services, bell: Bell) -> None:
    def signature(url: str) -> dict[str, str]:
        digest = hmac.new(SECRET.encode(), url.encode() + b"a1", hashlib.sha1).digest()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return {"X-Twilio-Signature": base64.b64encode(digest).decode(), **form}

    public = services.settings.model_copy(update={"public_url": "https://hub.example.com/hooks"})
    with served(replace(services, settings=public), bell) as hub:
        sources = Sources(hub)
        source = sources.create(verifier={"profile": "twilio"})
        assert source["url"] == f"https://hub.example.com/hooks/in/{source['id']}"
        called = {"url": f"{hub.url}/in/{source['id']}"}
        assert sources.send(called, b"a=1", signature(source["url"])).status_code == 200
        assert sources.send(called, b"a=1", signature(called["url"])).status_code == 401
        assert "HUB_PUBLIC_URL" not in sources.requests(source)[0]["detail"]
    with served(services, bell, tenant="other") as hub:
        sources = Sources(hub)
        source = sources.create(verifier={"profile": "twilio"})
        assert source["url"] == f"{hub.url}/in/{source['id']}"
        assert sources.send(source, b"a=1", signature("https://hub.example.com/")).status_code == 401
        assert "HUB_PUBLIC_URL is not set" in sources.requests(source)[0]["detail"]
        assert sources.send(source, b"a=1", signature(source["url"])).status_code == 200


# -- too much, too slow -----------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(
    sources: Sources, hub: RunningHub
) -> None:
    source = sources.create()
    large = b"[" + b"1," * 15_000 + b"1]"
    assert_problem(sources.send(source, large), 413, "too_large")
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=10)
    pieces = iter([b"x" * 9_000] * 3)
    connection.request("POST", urlsplit(source["url"]).path, body=pieces, encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 413
    connection.close()
    assert sources.events() == []
    assert sources.send(source, BODY).status_code == 200


def test_a_body_that_comes_too_slowly_is_given_up(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    hub.app.state.receiver._reader = BodyReader(seconds=0.3)
    parts = urlsplit(hub.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        path = urlsplit(source["url"]).path
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc".encode())
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert sources.send(source, BODY).status_code == 200


def test_a_flood_of_forged_requests_keeps_a_hundred_and_the_real_one_comes_through(
    sources: Sources, hub: RunningHub
) -> None:
    source = sources.create()
    receiver = hub.app.state.receiver
    session = requests.Session()
    for _ in range(int(BURST) * 3):
        assert session.post(source["url"], data=BODY, timeout=10).status_code == 401
    # A sample of them, and a little for the time that it took.
    assert BURST <= sources.sql("SELECT count(*) FROM hub.inbound")[0][0] <= BURST + 15
    receiver._sampler.take = lambda *_: True
    for _ in range(KEPT + 50):
        assert session.post(source["url"], data=BODY, timeout=10).status_code == 401
    assert KEPT <= sources.sql("SELECT count(*) FROM hub.inbound")[0][0] <= KEPT + 25
    assert sources.send(source, BODY).status_code == 200
    assert [one["outcome"] for one in sources.requests(source)][:2] == ["accepted", "rejected"]


def test_a_large_body_that_is_not_verified_is_not_kept(services: Services, bell: Bell) -> None:
    wide = services.settings.model_copy(update={"api_max_body_bytes": 1_000_000})
    with served(replace(services, settings=wide), bell) as hub:
        sources = Sources(hub)
        source = sources.create()
        body = b"x" * 65_537
        assert sources.send(source, body, {}).status_code == 401
        (kept,) = sources.requests(source)
        assert kept["body_bytes"] == 65_537
        assert sources.request(source, kept["id"])["body"] is None
        assert sources.send(source, body).status_code == 200
        assert sources.sql("SELECT octet_length(body) FROM hub.inbound ORDER BY id") == [(None,), (65_537,)]


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_any_of_the_secrets_verifies(sources: Sources) -> None:
    source = sources.create(secrets=["the-first-secret", "the-second-secret"])
    for n, secret in enumerate(("the-first-secret", "the-second-secret", "the-third-secret")):
        headers = github(BODY, secret=secret, delivery=str(n))
        assert sources.send(source, BODY, headers).status_code == (401 if n == 2 else 200)


def test_a_rotated_secret_works_until_its_overlap_ends(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    rotate = f"/v1/sources/{source['id']}/rotate"
    answer = hub.call("POST", rotate, json={"secret": "the-new-canary-secret"})
    assert [one["last4"] for one in answer.json()["secrets"]] == ["cret", "cret"]
    assert [one["expires_at"] is None for one in answer.json()["secrets"]] == [True, False]
    new, old = (github(BODY, secret=one) for one in ("the-new-canary-secret", SECRET))
    wait_for(lambda: sources.send(source, BODY, new).status_code == 200, "the new secret to be seen")
    assert sources.send(source, BODY, old).status_code == 200
    assert (
        hub.call("POST", rotate, json={"secret": "the-last-canary-secret", "overlap_seconds": 0}).status_code
        == 200
    )
    wait_for(lambda: sources.send(source, BODY, old).status_code == 401, "the end of the old secret")
    assert sources.send(source, BODY, new).status_code == 401
    assert sources.sql("SELECT count(*) FROM hub.secret WHERE kind = 'source'") == [(1,)]
