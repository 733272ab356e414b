from __future__ import annotations

import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError

from hub.client import FieldProblem, HttpClient, HubApiError, HubUnreachable, Json
from hub.client.transport import Transport, pause_before, read_retry_after

KEY = "hub_00000000000000000000000000000000_canary"


def answer(status: int, body: Any = None, **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.raw = io.BytesIO(
        b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    )
    made.headers.update(headers)
    made.reason = "Reason"
    return made


def refused() -> requests.ConnectionError:
    pool = HTTPConnectionPool("hub")
    return requests.ConnectionError(MaxRetryError(pool, "/", NewConnectionError(pool, "refused")))  # type: ignore[arg-type]


class Wire:
    """Plays answers and errors in turn, and remembers what was sent."""

    def __init__(self, *script: requests.Response | Exception) -> None:
        self.script = list(script)
        self.sent: list[requests.PreparedRequest] = []
        self.options: list[dict[str, Any]] = []

    def send(self, _adapter: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.sent.append(request)
        self.options.append(options)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        step.request = request
        step.url = request.url or ""
        return step


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    def start(*script: requests.Response | Exception) -> Wire:
        wire = Wire(*script)

        def send(
            adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
        ) -> requests.Response:
            return wire.send(adapter, request, **options)

        monkeypatch.setattr(HTTPAdapter, "send", send)
        return wire

    return start


def transport(pauses: list[float], retries: int = 4) -> Transport:
    return Transport("http://hub:8400/", KEY, timeout=3, retries=retries, sleep=pauses.append, rng=Random(1))


@pytest.mark.parametrize(
    "failure", [requests.ConnectionError("reset"), requests.ReadTimeout("late"), answer(502), answer(504)]
)
def test_a_request_of_unknown_fate_is_repeated_only_when_that_is_harmless(
    play: Callable[..., Wire], failure: requests.Response | Exception
) -> None:
    pauses: list[float] = []
    wire = play(failure, answer(200, {"ok": True}))
    assert transport(pauses).request("POST", "/v1/x", body="{}", repeatable=True) == (200, {"ok": True})
    assert (len(wire.sent), len(pauses)) == (2, 1)
    wire = play(failure)
    with pytest.raises((HubUnreachable, HubApiError)):
        transport(pauses).request("POST", "/v1/x", body="{}", repeatable=False)
    assert len(wire.sent) == 1


@pytest.mark.parametrize("failure", [answer(503), answer(429), requests.ConnectTimeout("x"), refused()])
def test_what_was_not_accepted_is_always_repeated(
    play: Callable[..., Wire], failure: requests.Response | Exception
) -> None:
    wire = play(failure, answer(204))
    assert transport([]).request("POST", "/v1/x", repeatable=False) == (204, None)
    assert len(wire.sent) == 2


def test_repeats_end_and_the_last_answer_is_told(play: Callable[..., Wire]) -> None:
    pauses: list[float] = []
    wire = play(*[answer(503, {"type": "/problems/unavailable", "detail": "Full."}) for _ in range(3)])
    with pytest.raises(HubApiError) as caught:
        transport(pauses, retries=2).request("GET", "/v1/x", repeatable=True)
    assert (caught.value.status, caught.value.code, caught.value.detail) == (503, "unavailable", "Full.")
    assert (len(wire.sent), len(pauses)) == (3, 2)
    play(requests.ConnectionError("a"), requests.ConnectionError("b"))
    with pytest.raises(HubUnreachable, match="tried 2 times"):
        transport([], retries=1).request("GET", "/v1/x", repeatable=True)


def test_retry_after_is_honoured_up_to_half_a_minute(play: Callable[..., Wire]) -> None:
    pauses: list[float] = []
    play(answer(429, None, **{"Retry-After": "7"}), answer(200, {}))
    transport(pauses).request("GET", "/v1/x", repeatable=True)
    assert pauses == [7.0]
    play(answer(429, None, **{"Retry-After": "3600"}))
    with pytest.raises(HubApiError) as caught:
        transport(pauses).request("GET", "/v1/x", repeatable=True)
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, 60.0) == seconds


def test_pauses_grow_spread_and_end_at_five_seconds() -> None:
    rng = Random(3)
    for repeat, longest in [(1, 0.2), (2, 0.4), (5, 3.2), (6, 5.0), (50, 5.0)]:
        pauses = [pause_before(repeat, rng) for _ in range(200)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
        assert max(pauses) - min(pauses) > longest / 4


def test_a_problem_becomes_an_error_with_its_fields(play: Callable[..., Wire]) -> None:
    play(
        answer(
            422,
            {"type": "/problems/invalid_input", "detail": "type is wrong.", "request_id": "req_1",
             "errors": [{"path": "type", "message": "is wrong"}]},
        )
    )  # fmt: skip
    with pytest.raises(HubApiError, match=r"422 invalid_input: type is wrong. \(req_1\)") as caught:
        transport([]).request("POST", "/v1/events", body="{}", repeatable=True)
    assert caught.value.errors == (FieldProblem("type", "is wrong"),)
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b'{"errors": "no list"}', b""])
def test_a_proxys_page_is_an_error_too(play: Callable[..., Wire], body: bytes) -> None:
    play(answer(403, body))
    with pytest.raises(HubApiError, match="403 http_error: Reason"):
        transport([]).request("GET", "/v1/x", repeatable=True)


def test_a_redirect_is_not_followed(play: Callable[..., Wire]) -> None:
    wire = play(answer(302, None, Location="http://elsewhere/"))
    with pytest.raises(HubApiError):
        transport([]).request("GET", "/v1/x", repeatable=True)
    assert len(wire.sent) == 1


def test_an_answer_that_is_no_json_is_no_hub(play: Callable[..., Wire]) -> None:
    play(answer(200, b"<html>"))
    with pytest.raises(HubUnreachable, match="is not a hub"):
        transport([]).request("GET", "/v1/x", repeatable=True)


@pytest.mark.parametrize(
    "url", ["hub:8400", "ftp://hub", "http://", "https://user:pw@hub", "http://hub/?a=b", ""]
)
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        HttpClient(url, KEY)


@pytest.mark.parametrize("key", ["", "canary key", "canary\n", "cänary"])
def test_a_malformed_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        HttpClient("http://hub", key)
    assert "nary" not in str(caught.value)


def test_the_key_is_sent_and_never_shown(
    play: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine hub login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wire = play(answer(200, {}), requests.ConnectionError(KEY))
    client = HttpClient("http://hub:8400", KEY, retries=0)
    client.get_event("msg_1")
    assert wire.sent[0].headers["Authorization"] == f"Bearer {KEY}"
    with pytest.raises(HubUnreachable) as caught:
        client.get_event("msg_1")
    assert caught.value.__cause__ is None
    shown = [repr(client), str(client), repr(vars(client)), repr(vars(client._http)), str(caught.value)]
    assert "canary" not in "".join(shown)


def test_publishing_repeats_with_one_key_and_the_same_bytes(play: Callable[..., Wire]) -> None:
    wire = play(requests.ConnectionError("reset"), answer(202, {"id": "msg_1", "status": "accepted"}))
    client = HttpClient("http://hub:8400", KEY)
    client._http._sleep = lambda _: None
    assert client.publish("a.b", {"z": 1, "a": "ü"}, id="mine")["id"] == "msg_1"
    first, second = wire.sent
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] != ""
    assert first.body == second.body == '{"type":"a.b","data":{"z":1,"a":"ü"},"id":"mine"}'.encode()


def test_two_calls_have_two_keys_and_a_given_key_is_used(play: Callable[..., Wire]) -> None:
    wire = play(*[answer(202, {"id": "msg_1", "status": "accepted"}) for _ in range(3)])
    client = HttpClient("http://hub:8400", KEY)
    client.publish("a", 1)
    client.publish("a", 1)
    client.publish("a", 1, idempotency_key="given")
    keys = [request.headers["Idempotency-Key"] for request in wire.sent]
    assert len(set(keys)) == 3
    assert keys[2] == "given"


def test_json_text_is_sent_byte_for_byte(play: Callable[..., Wire]) -> None:
    wire = play(answer(202, {"data": []}))
    data = Json('{"total": 10.00, "big": 123456789012345678901234567890}')
    HttpClient("http://hub", KEY).publish_many(
        [{"type": "a", "data": data}, {"type": "b", "data": None, "id": "x"}]
    )
    assert wire.sent[0].body == f'[{{"type":"a","data":{data}}},{{"type":"b","data":null,"id":"x"}}]'.encode()


@pytest.mark.parametrize(
    "data", [float("nan"), float("inf"), {"a": "\ud800"}, Json("{"), Json("NaN"), object()]
)
def test_data_without_a_json_form_is_refused_before_anything_is_sent(
    play: Callable[..., Wire], data: Any
) -> None:
    wire = play()
    with pytest.raises((ValueError, TypeError)):
        HttpClient("http://hub", KEY).publish("a", data)
    assert not wire.sent


def test_waiting_for_an_execution_is_asked_for_and_granted_time(play: Callable[..., Wire]) -> None:
    wire = play(answer(200, {"id": "exe_1", "state": "done"}))
    HttpClient("http://hub", KEY, timeout=3).execute("int_1", "get", {"path": {"id": 1}}, wait=20)
    assert wire.sent[0].headers["Prefer"] == "wait=20"
    assert wire.options[0]["timeout"] == (3, 23)
    assert wire.sent[0].url == "http://hub/v1/integrations/int_1/execute"


def test_an_id_cannot_leave_its_place_in_the_path(play: Callable[..., Wire]) -> None:
    wire = play(answer(200, {}))
    HttpClient("http://hub", KEY).get_event("../../admin?x=#")
    assert wire.sent[0].path_url == "/v1/events/..%2F..%2Fadmin%3Fx%3D%23"


def test_all_pages_of_a_list_are_read(play: Callable[..., Wire]) -> None:
    wire = play(
        answer(200, {"data": [1, 2], "next_cursor": "c"}), answer(200, {"data": [3], "next_cursor": None})
    )
    assert list(HttpClient("http://hub", KEY).iterate("executions", state="failed")) == [1, 2, 3]
    assert [request.path_url for request in wire.sent] == [
        "/v1/executions?state=failed&limit=250",
        "/v1/executions?state=failed&limit=250&cursor=c",
    ]
