from __future__ import annotations

import json
from typing import Any

import pytest

from hub.core.secret import Secret
from hub.integrations.auth.oauth2 import OAuth2Auth
from hub.integrations.grants.answer import MAX_LIFE_SECONDS, Answer, Failed, Refused, Tokens, read_oauth
from hub.net.outcome import ErrorClass, Outcome, classify_status, status_message


def settings(**more: Any) -> OAuth2Auth:
    return OAuth2Auth.model_validate(
        {"mode": "oauth2", "grant": "client_credentials", "token_url": "https://a.example/", **more}
    )


def read(body: Any, status: int = 200, *, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    outcome = Outcome(status, classify_status(status), status_message(status), headers or {}, raw)
    return read_oauth(outcome, settings(**more), [Secret("sent-secret")])


def test_tokens_are_read() -> None:
    found = read({"access_token": "a", "refresh_token": "r", "expires_in": "3600", "scope": "x y"})
    assert found == Tokens(Secret("a"), Secret("r"), 3600.0, ("x", "y"), {})


@pytest.mark.parametrize(
    ("given", "life"),
    [
        (None, None),
        (0, None),
        (-5, None),
        ("soon", None),
        (True, 1.0),
        (1e300, MAX_LIFE_SECONDS),
        ([1], None),
    ],
    ids=str,
)
def test_an_odd_life_is_no_life(given: Any, life: float | None) -> None:
    found = read({"access_token": "a", "expires_in": given})
    assert isinstance(found, Tokens)
    assert found.life == life


@pytest.mark.parametrize("life", [float("nan"), float("inf")])
def test_a_life_that_is_no_number_is_bounded(life: float) -> None:
    found = read(json.dumps({"access_token": "a", "expires_in": life}).encode(), default_life_seconds=60)
    assert isinstance(found, Tokens)
    assert found.life in {60.0, MAX_LIFE_SECONDS}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_grant"}),
        (401, {"error": "invalid_client"}),
        (200, {"ok": False, "error": "invalid_refresh_token"}),
        (403, {"error": "access_denied", "error_description": "no"}),
    ],
    ids=str,
)
def test_an_oauth_error_is_a_refusal(status: int, body: dict[str, Any]) -> None:
    found = read(body, status)
    assert isinstance(found, Refused)
    assert found.code == body["error"]
    assert body["error"] in found.message


@pytest.mark.parametrize(
    ("status", "body", "client_error"),
    [
        (500, {"error": "server_error"}, False),
        (503, {"error": "invalid_grant"}, False),
        (429, {"error": "invalid_grant"}, False),
        (400, {"error": "temporarily_unavailable"}, True),
        (400, {"error": "authorization_pending"}, True),
        (200, {"ok": False, "error": "internal_error"}, False),
        (200, {"ok": False, "error": "fatal_error"}, False),
        (200, {"ok": False, "error": "service_unavailable"}, False),
        (200, {"ok": False, "error": "request_timeout"}, False),
        (200, {"ok": False, "error": "ratelimited"}, False),
        (403, b"<html>firewall</html>", True),
        (302, b"", False),
        (200, b"not json", False),
        (200, [1], False),
        (200, {"access_token": 7}, False),
        (200, {"access_token": ""}, False),
        (200, {"access_token": "line\nbreak"}, False),
        (200, {"access_token": "x" * 20_000}, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_everything_else_is_a_failure_that_says_nothing_about_the_grant(
    status: int, body: Any, client_error: bool
) -> None:
    found = read(body, status)
    assert isinstance(found, Failed)
    assert found.client_error is client_error
    assert found.message


def test_the_providers_wish_for_rest_is_kept() -> None:
    found = read(b"", 429, headers={"retry-after": "17"})
    assert isinstance(found, Failed)
    assert found.retry_after == 17


@pytest.mark.parametrize(
    ("error_class", "uncertain"),
    [(ErrorClass.TIMEOUT, True), (ErrorClass.RESET, True), (ErrorClass.DNS, False), (ErrorClass.TLS, False)],
)
def test_a_question_that_may_have_arrived_is_uncertain(error_class: ErrorClass, uncertain: bool) -> None:
    found = read_oauth(Outcome(None, error_class, "It broke."), settings(), [])
    assert isinstance(found, Failed)
    assert found.uncertain is uncertain


def test_no_secret_that_was_sent_is_repeated() -> None:
    body = {
        "error": "invalid_client",
        "error_description": "bad sent-secret\x07",
        "error_uri": "x?s=sent-secret",
    }
    found = read(body, 401)
    assert isinstance(found, Refused)
    assert "sent-secret" not in found.message
    assert "bad ***" in found.message


def test_scopes_come_separated_in_either_way_or_as_a_list() -> None:
    for given in ("a,b", "a b", ["a", "b"]):
        found = read({"access_token": "t", "scope": given}, scope_separator=",")
        assert isinstance(found, Tokens)
        assert found.scopes == ("a", "b")


def test_metadata_is_bounded() -> None:
    body = {"access_token": "t", "a": {"b": 1}, "long": "x" * 3000, "list": [{"n": 1}, {"n": 2}]}
    found = read(body, capture={"one": "a.b", "long": "long", "many": "list.n", "second": "list.1.n"})
    assert isinstance(found, Tokens)
    assert found.metadata == {"one": 1, "second": 2}
