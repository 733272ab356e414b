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
    ("status", "body", "lasting"),
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
        (408, b"", False),
        (302, b"", True),
        (200, b"not json", True),
        (200, [1], True),
        (200, {"access_token": 7}, True),
        (200, {"access_token": ""}, True),
        (200, {"access_token": "line\nbreak"}, True),
        (200, {"access_token": "x" * 20_000}, True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_everything_else_is_a_failure_that_says_nothing_about_the_grant(
    status: int, body: Any, lasting: bool
) -> None:
    found = read(body, status)
    assert isinstance(found, Failed)
    assert found.lasting is lasting
    assert found.message


def test_the_providers_wish_for_rest_is_kept() -> None:
    found = read(b"", 429, headers={"retry-after": "17"})
    assert isinstance(found, Failed)
    assert found.retry_after == 17


@pytest.mark.parametrize(
    ("status", "error_class", "uncertain", "lasting"),
    [
        (None, ErrorClass.TIMEOUT, True, False),
        (None, ErrorClass.RESET, True, False),
        (None, ErrorClass.DNS, False, False),
        (None, ErrorClass.TLS, False, False),
        (200, ErrorClass.TIMEOUT, True, False),
        (200, ErrorClass.RESET, True, False),
        (200, ErrorClass.PROTOCOL, True, False),
        (200, ErrorClass.TOO_LARGE, True, True),
        (400, ErrorClass.RESET, False, False),
        (503, ErrorClass.RESET, False, False),
        (503, ErrorClass.TOO_LARGE, False, False),
        (200, None, False, True),
    ],
)
def test_a_question_whose_answer_may_have_held_tokens_is_uncertain(
    status: int | None, error_class: ErrorClass | None, uncertain: bool, lasting: bool
) -> None:
    found = read_oauth(Outcome(status, error_class, "It broke.", body=b'{"access_tok'), settings(), [])
    assert isinstance(found, Failed)
    assert (found.uncertain, found.lasting) == (uncertain, lasting)


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
