"""Services repeat the credentials that they were sent, in spellings and places of their own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from hub.core.secret import Secret
from hub.integrations.auth.oauth2 import OAuth2Auth
from hub.integrations.grants.answer import Tokens, read_oauth
from hub.integrations.pipeline.redaction import Redactor
from hub.net.outcome import ErrorClass, Outcome

SECRET = "canary/key+with=signs&more<x>"


def cleaned(body: bytes, **fields: Any) -> bytes:
    outcome = Outcome(fields.pop("status", 200), fields.pop("error_class", None), body=body, **fields)
    Redactor([SECRET]).clean(outcome)
    return outcome.body


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d")
        .replace("%26", "%26").replace("%3C", "%3c").replace("%3E", "%3e"),
        SECRET.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    ],
    ids=["plain", "quoted", "quoted-path", "quoted-lower", "html", "json"],
)  # fmt: skip
def test_a_secret_is_masked_in_the_spellings_of_addresses_pages_and_json(spelling: str) -> None:
    assert cleaned(b"<" + spelling.encode() + b">") == b"<***>"


@pytest.mark.parametrize("length", range(6, len(SECRET)))
def test_who_chooses_where_an_answer_is_cut_gets_no_part_of_a_secret(length: int) -> None:
    body = b"echo: " + SECRET[:length].encode()
    cut = cleaned(body, truncated=True, error_class=ErrorClass.TOO_LARGE)
    assert cut == b"echo: ***"
    assert cleaned(body, status=200, error_class=ErrorClass.RESET) == b"echo: ***"
    # A whole answer is left as it is.
    assert cleaned(body) == body


def oauth(said: Any, **fields: Any) -> Tokens:
    settings = OAuth2Auth.model_validate(
        {
            "mode": "oauth2",
            "grant": "client_credentials",
            "client_id": "me",
            "token_url": "https://a.example/t",
        }
        | fields
    )
    found = read_oauth(
        Outcome(200, None, body=json.dumps(said).encode()), settings, [Secret("client-canary")]
    )
    assert isinstance(found, Tokens)
    return found


def test_what_is_captured_for_people_holds_no_token_wherever_the_provider_keeps_it() -> None:
    answer = {
        "deep": {"tok": "token-canary", "team": "T1"},
        "again": "refresh-canary",
        "echo": ["client-canary"],
        "fine": {"id": 7},
    }
    found = oauth(
        answer,
        answer={"access_token": "deep.tok", "refresh_token": "again"},
        capture={"a": "deep.tok", "b": "deep", "c": "again", "d": "echo", "e": "fine", "f": "deep.team"},
    )
    assert (found.access.reveal(), found.metadata) == ("token-canary", {"e": {"id": 7}, "f": "T1"})


@pytest.mark.parametrize("odd", ["\0", "\ud800", float("nan")], ids=["nul", "half", "nan"])
def test_what_cannot_be_stored_of_an_answer_does_not_cost_its_tokens(odd: Any) -> None:
    answer = {"access_token": "token", "refresh_token": "fresh", "team": odd, "scope": ["a", str(odd)]}
    found = oauth(answer, capture={"team": "team"})
    assert (found.refresh is not None, found.metadata) == (True, {})
    for scope in found.scopes or ():
        assert "\0" not in scope
        scope.encode()
