from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from hub.core.secret import Secret
from hub.net import ErrorClass, GuardedSession, Outcome, TokenFault, TokenRequest, TokenSource
from hub.net import token as token_module
from tests.support.waiting import until

REQUEST = TokenRequest("https://id.example/token", "hub client", Secret("canary secret+1"))


class Endpoint:
    """A session whose token endpoint answers as told; `gate` holds the answers back."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[], Outcome] = lambda: granted(f"token-{len(self.asked)}", 3600)
        self.gate = threading.Event()
        self.gate.set()
        self.running = 0
        self.most_running: dict[str, int] = {}
        self._lock = threading.Lock()

    def call(self, method: str, url: str, **options: Any) -> Outcome:
        with self._lock:
            self.asked.append({"method": method, "url": url, **options})
            running = sum(1 for one in self.asked if one["url"] == url and not one.get("ended"))
            self.most_running[url] = max(self.most_running.get(url, 0), running)
            mine = self.asked[-1]
        assert self.gate.wait(10)
        with self._lock:
            mine["ended"] = True
            return self.answer()


def granted(token: str, life: object = None, **more: object) -> Outcome:
    body = {"access_token": token, "token_type": "Bearer", **more}
    if life is not None:
        body["expires_in"] = life
    return Outcome(200, None, body=json.dumps(body).encode())


class Asker:
    """Collects what `on_ready` was called with."""

    def __init__(self) -> None:
        self.told: list[TokenFault | None] = []

    def __call__(self, fault: TokenFault | None) -> None:
        self.told.append(fault)

    def wait(self, count: int = 1) -> TokenFault | None:
        until(lambda: len(self.told) >= count, what="the end of the fetch")
        return self.told[-1]


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def source(endpoint: Endpoint, clock: list[float]) -> Iterator[TokenSource]:
    made = TokenSource(cast("GuardedSession", endpoint), clock=lambda: clock[0])
    yield made
    endpoint.gate.set()
    made.close()


def _fetch(source: TokenSource, key: str = "k", request: TokenRequest = REQUEST) -> TokenFault | None:
    asker = Asker()
    source.request(key, request, asker)
    return asker.wait()


def test_a_token_is_fetched_once_and_then_at_hand(source: TokenSource, endpoint: Endpoint) -> None:
    assert source.get("k") is None
    assert _fetch(source) is None
    assert source.get("k") == "token-1"
    assert _fetch(source) is None, "told at once when it is at hand"
    assert source.get("other") is None
    assert len(endpoint.asked) == 1


def test_many_that_ask_share_one_fetch(source: TokenSource, endpoint: Endpoint) -> None:
    endpoint.gate.clear()
    asker = Asker()
    for _ in range(50):
        source.request("k", REQUEST, asker)
        assert source.get("k") is None
    endpoint.gate.set()
    assert asker.wait(50) is None
    assert len(endpoint.asked) == 1


def test_what_is_sent_with_basic_authentication(source: TokenSource, endpoint: Endpoint) -> None:
    request = TokenRequest(
        REQUEST.token_url, "hub client", REQUEST.client_secret, ("a", "b"), "https://api", extra={"x": "1"}
    )
    _fetch(source, request=request)
    [sent] = endpoint.asked
    assert (sent["method"], sent["url"]) == ("POST", REQUEST.token_url)
    assert base64.b64decode(sent["headers"]["Authorization"].removeprefix("Basic ")) == (
        b"hub+client:canary+secret%2B1"
    )
    assert parse_qs(sent["data"].decode()) == {
        "grant_type": ["client_credentials"], "scope": ["a b"], "audience": ["https://api"], "x": ["1"],
    }  # fmt: skip
    assert (sent["timeout"], sent["max_body"], sent.get("follow_redirects", 0)) == (10.0, 65_536, 0)


def test_what_is_sent_with_the_secret_in_the_body(source: TokenSource, endpoint: Endpoint) -> None:
    extra = {"grant_type": "password", "client_secret": "forged"}
    _fetch(
        source,
        request=TokenRequest(REQUEST.token_url, "id", Secret("pw"), client_auth="post", extra=extra),
    )
    [sent] = endpoint.asked
    assert "Authorization" not in sent["headers"]
    assert parse_qs(sent["data"].decode()) == {
        "grant_type": ["client_credentials"], "client_id": ["id"], "client_secret": ["pw"],
    }  # fmt: skip


def test_a_token_is_fetched_anew_at_80_percent_of_its_life_while_it_still_serves(
    source: TokenSource, endpoint: Endpoint, clock: list[float]
) -> None:
    _fetch(source)
    clock[0] += 3600 * 0.79
    assert source.get("k") == "token-1"
    assert len(endpoint.asked) == 1
    clock[0] += 3600 * 0.02
    endpoint.gate.clear()
    assert [source.get("k") for _ in range(3)] == ["token-1"] * 3
    endpoint.gate.set()
    until(lambda: source.get("k") == "token-2")
    assert len(endpoint.asked) == 2


def test_a_token_that_ended_is_not_given(source: TokenSource, clock: list[float]) -> None:
    _fetch(source)
    clock[0] += 3595
    assert source.get("k") is None
    assert _fetch(source) is None
    assert source.get("k") == "token-2"


def test_a_failed_refresh_leaves_the_old_token(
    source: TokenSource, endpoint: Endpoint, clock: list[float]
) -> None:
    _fetch(source)
    endpoint.answer = lambda: Outcome(None, ErrorClass.TIMEOUT, "The time was over.")
    clock[0] += 3000
    assert source.get("k") == "token-1"
    until(lambda: endpoint.asked[-1].get("ended") and len(endpoint.asked) == 2)
    assert source.get("k") == "token-1"


@pytest.mark.parametrize(
    ("life", "at_hand"),
    [(60, 53), (None, 289), ("60", 53), (0, 289), (-5, 289), ("soon", 289), (10**9, 86_389)],
)
def test_the_life_of_a_token(
    source: TokenSource, endpoint: Endpoint, clock: list[float], life: object, at_hand: float
) -> None:
    endpoint.answer = lambda: granted("t", life)
    _fetch(source)
    clock[0] += at_hand
    assert source.get("k") == "t"
    clock[0] += 2
    assert source.get("k") is None


def test_a_refused_token_is_dropped_but_not_its_successor(source: TokenSource, clock: list[float]) -> None:
    _fetch(source)
    clock[0] += 60
    source.invalidate("k", "another")
    assert source.get("k") == "token-1"
    source.invalidate("k", "token-1")
    assert source.get("k") is None
    _fetch(source)
    source.invalidate("k", "token-1")
    assert source.get("k") == "token-2"


def test_a_receiver_that_refuses_every_token_causes_no_storm(source: TokenSource) -> None:
    _fetch(source)
    source.invalidate("k", "token-1")
    assert source.get("k") == "token-1"


def _refusal(status: int, body: object, error_class: ErrorClass = ErrorClass.HTTP_4XX) -> Outcome:
    return Outcome(status, error_class, f"The answer was status {status}.", body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("outcome", "error_class", "says"),
    [
        (
            _refusal(401, {"error": "invalid_client", "error_description": "canary"}),
            ErrorClass.HTTP_4XX,
            "401. It says invalid_client.",
        ),
        (_refusal(400, {"error": "canary\r\n<b>"}), ErrorClass.HTTP_4XX, "status 400."),
        (_refusal(503, []), ErrorClass.HTTP_5XX, "status 503."),
        (Outcome(None, ErrorClass.TLS, "The TLS handshake failed."), ErrorClass.TLS, "handshake failed"),
        (Outcome(200, None, body=b"<html>"), ErrorClass.PROTOCOL, "no access_token"),
        (Outcome(200, None, body=b"[" * 50_000), ErrorClass.PROTOCOL, "no access_token"),
        (granted("bad\r\ncanary: 1"), ErrorClass.PROTOCOL, "no access_token"),
        (granted(""), ErrorClass.PROTOCOL, "no access_token"),
        (granted("t", token_type="mac"), ErrorClass.PROTOCOL, "not of type Bearer"),
    ],
    ids=["client", "bad code", "5xx", "tls", "html", "deep", "split", "empty", "type"],
)
def test_a_fault_says_what_is_wrong_and_shows_nothing(
    source: TokenSource, endpoint: Endpoint, outcome: Outcome, error_class: ErrorClass, says: str
) -> None:
    if outcome.status == 503:
        outcome.error_class = ErrorClass.HTTP_5XX
    endpoint.answer = lambda: outcome
    fault = _fetch(source)
    assert fault is not None
    assert fault.error_class is error_class
    assert says in fault.message
    assert "canary" not in fault.message
    assert source.get("k") is None


def test_after_faults_the_endpoint_is_left_alone_for_longer_and_longer(
    source: TokenSource, endpoint: Endpoint, clock: list[float]
) -> None:
    endpoint.answer = lambda: _refusal(500, {})
    pauses = []
    for number in range(12):
        fault = _fetch(source)
        assert fault is not None
        pauses.append(fault.retry_after)
        clock[0] += fault.retry_after / 2
        again = _fetch(source)
        assert again is not None
        assert again.retry_after == pytest.approx(fault.retry_after / 2)
        assert len(endpoint.asked) == number + 1
        clock[0] += fault.retry_after / 2
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    endpoint.answer = lambda: granted("t", 60)
    assert _fetch(source) is None
    endpoint.answer = lambda: _refusal(500, {})
    clock[0] += 60
    last = _fetch(source)
    assert last is not None
    assert last.retry_after == 1


def test_retry_after_is_honoured(source: TokenSource, endpoint: Endpoint) -> None:
    outcome = _refusal(429, {})
    outcome.headers = {"retry-after": "40"}
    endpoint.answer = lambda: outcome
    fault = _fetch(source)
    assert fault is not None
    assert fault.retry_after == 40


def test_an_endpoint_that_hangs_keeps_few_threads_and_holds_up_no_other(
    source: TokenSource, endpoint: Endpoint
) -> None:
    endpoint.gate.clear()
    slow = Asker()
    for number in range(30):
        source.request(number, REQUEST, slow)
    quick = TokenRequest("https://quick.example/token", "id", Secret("x"))
    done = Asker()
    source.request("quick", quick, done)
    until(lambda: any(one["url"] == quick.token_url for one in endpoint.asked))
    assert endpoint.most_running[REQUEST.token_url] <= 4
    endpoint.gate.set()
    slow.wait(30)
    done.wait()
    assert endpoint.most_running[REQUEST.token_url] <= 4
    assert {source.get(number) is not None for number in range(30)} == {True}


def test_a_callback_that_fails_harms_nobody(
    source: TokenSource, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: TokenFault | None) -> None:
        raise RuntimeError("mine")

    endpoint.gate.clear()
    asker = Asker()
    with caplog.at_level(logging.DEBUG):
        source.request("k", REQUEST, fails)
        source.request("k", REQUEST, asker)
        endpoint.gate.set()
        assert asker.wait() is None
    assert "token-1" not in caplog.text
    assert "canary" not in caplog.text


def test_nothing_shows_a_token_or_a_secret(source: TokenSource) -> None:
    _fetch(source)
    assert "canary" not in repr(REQUEST)
    assert "token-1" not in repr(vars(source))


def test_the_oldest_keys_make_room(
    source: TokenSource, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_module, "MAX_KEYS", 20)
    for number in range(21):
        _fetch(source, key=str(number))
    assert source.get("0") is None
    assert source.get("20") is not None


def test_after_close_nobody_is_told(source: TokenSource, endpoint: Endpoint) -> None:
    endpoint.gate.clear()
    asker = Asker()
    source.request("k", REQUEST, asker)
    until(lambda: endpoint.asked)
    source.close()
    endpoint.gate.set()
    until(lambda: endpoint.asked[0].get("ended"))
    source.request("k", REQUEST, asker)
    assert source.get("k") is None
    assert asker.told == []
