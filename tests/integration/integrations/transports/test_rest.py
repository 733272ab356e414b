"""The transport `rest`: the suite of all transports, and calls to httpbin."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from hub.core.secret import Secret
from hub.integrations.auth.bearer import MODE as BEARER
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.http import RestTransport
from hub.net.outcome import ErrorClass, Outcome
from tests.integration.integrations.auth.served import Served, serving, serving_httpbin
from tests.integration.integrations.transports.calls import Caller
from tests.integration.integrations.transports.conformance import Conformance
from tests.integration.integrations.transports.rest_service import TOKEN, ListService

TRANSPORT = RestTransport()
OPERATIONS: dict[str, dict[str, Any]] = {
    "post": {"method": "POST", "path": "/post"},
    "keyed": {"method": "POST", "path": "/post", "idempotency_key": "Idempotency-Key"},
    "form": {"method": "POST", "path": "/post", "body_type": "form", "objects": "brackets"},
    "multipart": {"method": "POST", "path": "/post", "body_type": "multipart"},
    "binary": {"method": "PUT", "path": "/put", "body_type": "binary"},
    "accepting": {"path": "/headers", "accept": "application/vnd.x+json"},
    "missing_is_fine": {"path": "/status/{status}", "success": ["2xx", 404, 304]},
    "only_created": {"path": "/status/{status}", "success": [201]},
}


def bearer(token: str) -> Credentials:
    assert BEARER.sign is not None
    secrets = {"token": Secret(token)}
    parameters: dict[str, Any] = {"mode": "bearer"}
    return Credentials("bearer", parameters, secrets, BEARER.sign(parameters, secrets))


class TestConformance(Conformance):
    transport = TRANSPORT
    scheme = "http"
    operations: ClassVar = {"get": TRANSPORT.operation_form(path="/secured/{what}")}
    small = ("get", {"path": {"what": "small"}})
    large = ("get", {"path": {"what": "large"}})
    good = bearer(TOKEN)
    bad = bearer("canary-wrong-token-0123456789")

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        with serving(ListService()) as served:
            yield int(served.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def httpbin() -> Iterator[Served]:
    with serving_httpbin() as served:
        yield served


@pytest.fixture
def caller(httpbin: Served) -> Iterator[Caller]:
    made = Caller(TRANSPORT, httpbin.url, operations=OPERATIONS)
    yield made
    made.session.close()


def echo(outcome: Outcome) -> Any:
    assert outcome.ok, outcome.message
    return json.loads(outcome.body)


def test_json_arrives_as_json(caller: Caller) -> None:
    found = echo(caller.call("post", {"body": {"a": ["ü", None, 1.5]}, "query": {"q": [1, 2]}}))
    assert found["json"] == {"a": ["ü", None, 1.5]}
    assert found["args"] == {"q": ["1", "2"]}
    assert found["headers"]["User-Agent"] == "Integration-Hub/1"


def test_a_user_agent_of_ones_own_is_the_only_one(caller: Caller) -> None:
    found = echo(caller.call("post", {"headers": {"user-agent": "mine"}}))
    assert found["headers"]["User-Agent"] == "mine"


def test_a_form_arrives_as_a_form(caller: Caller) -> None:
    found = echo(caller.call("form", {"body": {"card": {"number": 4242, "tags": ["a", "ü"]}}}))
    assert found["form"] == {"card[number]": "4242", "card[tags]": ["a", "ü"]}


def test_files_and_fields_arrive(caller: Caller) -> None:
    file = {"filename": "ü.bin", "content_type": "a/b", "base64": base64.b64encode(b"\x00\xff").decode()}
    found = echo(caller.call("multipart", {"body": {"title": "ü", "n": [1, 2], "file": file}}))
    assert found["form"] == {"title": "ü", "n": ["1", "2"]}
    assert found["files"] == {"file": "data:a/b;base64,AP8="}


def test_bytes_arrive(caller: Caller) -> None:
    found = echo(caller.call("binary", {"body": "AP8="}))
    assert found["data"] == "data:application/octet-stream;base64,AP8="


def test_what_the_operation_accepts_is_told(caller: Caller) -> None:
    assert echo(caller.call("accepting", {}))["headers"]["Accept"] == "application/vnd.x+json"


def test_the_key_of_the_execution_is_sent_where_the_operation_says(caller: Caller) -> None:
    assert "Idempotency-Key" not in echo(caller.call("post", {}, idempotency_key="k"))["headers"]
    assert echo(caller.call("keyed", {}, idempotency_key="k"))["headers"]["Idempotency-Key"] == "k"
    own = {"headers": {"idempotency-key": "mine"}}
    assert echo(caller.call("keyed", own, idempotency_key="k"))["headers"]["Idempotency-Key"] == "mine"
    assert "Idempotency-Key" not in echo(caller.call("keyed", {}))["headers"]


@pytest.mark.parametrize(
    ("operation", "status", "error_class"),
    [
        ("missing_is_fine", 200, None),
        ("missing_is_fine", 404, None),
        ("missing_is_fine", 304, None),
        ("missing_is_fine", 410, ErrorClass.HTTP_4XX),
        ("missing_is_fine", 500, ErrorClass.HTTP_5XX),
        ("only_created", 201, None),
        ("only_created", 200, ErrorClass.PROVIDER_ERROR),
        ("only_created", 404, ErrorClass.HTTP_4XX),
    ],
)
def test_an_operation_says_what_a_success_is(
    caller: Caller, operation: str, status: int, error_class: ErrorClass | None
) -> None:
    outcome = caller.call(operation, {"path": {"status": status}})
    assert (outcome.status, outcome.error_class) == (status, error_class)
    assert outcome.ok == (outcome.message == "")


def test_an_answer_that_did_not_come_whole_is_no_success_whatever_its_status(httpbin: Served) -> None:
    operations = {"bytes": {"path": "/bytes/{n}", "success": ["2xx"]}}
    caller = Caller(TRANSPORT, httpbin.url, operations=operations)
    assert caller.call("bytes", {"path": {"n": 100}}, max_bytes=99).error_class is ErrorClass.TOO_LARGE
    assert caller.call("bytes", {"path": {"n": 100}}, max_bytes=100).ok
    caller.session.close()


def test_a_failure_that_is_a_success_of_the_operation_must_come_whole() -> None:
    def missing(_environ: object, start: Callable[..., object]) -> list[bytes]:
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"x" * 100]

    with serving(missing) as served:
        caller = Caller(TRANSPORT, served.url, operations={"read": {"path": "/", "success": [404]}})
        cut = caller.call("read", {}, max_bytes=99)
        assert (cut.status, cut.error_class) == (404, ErrorClass.TOO_LARGE)
        assert "99 bytes" in cut.message
        assert caller.call("read", {}, max_bytes=100).ok
        caller.session.close()


@pytest.mark.parametrize("path", ["/gzip", "/image/png", "/encoding/utf8", "/xml", "/stream-bytes/5000"])
def test_any_kind_of_answer_comes_back(caller: Caller, path: str) -> None:
    outcome = caller.call("request", {"path": path})
    assert outcome.ok
    expected = {
        "/gzip": b"{",
        "/image/png": b"\x89PNG",
        "/encoding/utf8": b"<h1>",
        "/xml": b"<?xml",
        "/stream-bytes/5000": b"",
    }
    assert outcome.body.startswith(expected[path])
    assert len(outcome.body) > 100


def test_redirects_are_followed_as_often_as_the_integration_says(caller: Caller) -> None:
    assert caller.call("request", {"path": "/redirect/2"}).error_class is ErrorClass.REDIRECT
    caller.connection = replace(caller.connection, follow_redirects=2)
    assert caller.call("request", {"path": "/redirect/2"}).ok


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (200, None),
        (404, None),
        (405, None),
        (401, ErrorClass.UNAUTHORIZED),
        (403, ErrorClass.UNAUTHORIZED),
        (400, ErrorClass.HTTP_4XX),
        (500, ErrorClass.HTTP_5XX),
    ],
)
def test_a_probe_asks_for_the_base_url(status: int, error_class: ErrorClass | None) -> None:
    service = ListService()
    with serving(service) as served:
        caller = Caller(TRANSPORT, f"{served.url}/status/{status}")
        service.answers[f"/status/{status}/"] = lambda _query: (f"{status} Status", {}, b"")
        outcome = caller.probe()
        caller.session.close()
    assert (outcome.status, outcome.error_class) == (status, error_class)
    assert outcome.ok == (outcome.message == "")
    assert service.asked == [f"/status/{status}/"]
