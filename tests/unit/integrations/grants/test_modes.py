"""What is wrong with the `auth` of modes that obtain, and how they sign a call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError
from requests import PreparedRequest

from hub.core.secret import Secret
from hub.integrations.auth import google_service_account, login_call, oauth2

OAUTH = {
    "mode": "oauth2",
    "grant": "client_credentials",
    "token_url": "https://a.example/token",
    "client_id": "me",
}
LOGIN = {"mode": "login_call", "url": "/login", "json": {"p": "{{ password }}"}}


def request() -> PreparedRequest:
    made = PreparedRequest()
    made.prepare(method="GET", url="https://api.example/x?a=1", headers={"Cookie": "c=1"})
    return made


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"token_url": "ftp://a.example/"}, "auth.token_url"),
        ({"token_url": "https://me:pw@a.example/"}, "auth.token_url"),
        ({"token_url": "https://a.example/#x"}, "auth.token_url"),
        ({"client_id": ""}, "auth.client_id"),
        ({"grant": "authorization_code"}, "auth.authorize_url"),
        ({"grant": "device"}, "auth.device_url"),
        ({"grant": "jwt_bearer", "client_id": "", "client_auth": "none"}, "auth.assertion.issuer"),
        ({"token_parameters": {"grant_type": "x"}}, "auth.token_parameters.grant_type"),
        ({"authorize_parameters": {"state": "x"}}, "auth.authorize_parameters.state"),
        ({"placement": {"name": "Host"}}, "auth.placement.name"),
        ({"placement": {"name": "a b"}}, "auth.placement.name"),
        ({"placement": {"prefix": "a\nb"}}, "auth.placement.prefix"),
        ({"answer": {"access_token": "a..b"}}, "auth.answer.access_token"),
        ({"capture": {"token": "authed_user.access_token"}}, "auth.capture.token"),
        ({"capture": {"x": ""}}, "auth.capture.x"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_oauth2_is_told_with_its_path(change: dict[str, Any], path: str) -> None:
    assert [fault.path for fault in oauth2.faults({**OAUTH, **change})] == [path]


def test_nothing_is_wrong_with_good_settings() -> None:
    assert oauth2.faults(OAUTH) == []
    assert login_call.faults(LOGIN) == []


@pytest.mark.parametrize("value", [None, 7, [], {}, "text", {"a": [1]}], ids=str)
def test_odd_forms_do_not_break_the_judgement_of_meaning(value: Any) -> None:
    names = (*oauth2.OAuth2Auth.model_fields, *login_call.LoginCallAuth.model_fields, "json", "key")
    for name in names:
        given = {**OAUTH, **LOGIN, name: value}
        for mode in (oauth2, login_call, google_service_account):
            mode.faults(given)


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({}, ("client_secret",)),
        ({"client_auth": "none"}, ()),
        ({"client_auth": "private_key_jwt"}, ("private_key",)),
        ({"grant": "jwt_bearer", "client_auth": "none"}, ("private_key",)),
        ({"grant": "refresh_token"}, ("client_secret", "refresh_token")),
        ({"grant": "token_exchange", "client_auth": "post"}, ("client_secret", "subject_token")),
    ],
    ids=str,
)
def test_which_secrets_a_grant_needs(change: dict[str, Any], needed: tuple[str, ...]) -> None:
    form = oauth2.OAuth2Auth.model_validate({**OAUTH, **change})
    assert oauth2.MODE.needs(form) == needed


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"url": "gopher://x"}, "auth.url"),
        ({"form": {"a": "b"}}, "auth.form"),
        ({"json": {"p": "{{ nothing }}"}}, "auth.json"),
        ({"json": ["{{ password"]}, "auth.json"),
        ({"headers": {"Host": "x"}}, "auth.headers.Host"),
        ({"token": {"in": "json", "name": "a..b"}}, "auth.token.name"),
        ({"life_path": "$.x"}, "auth.life_path"),
        ({"placement": {"template": "{{ password }}"}}, "auth.placement.template"),
        ({"placement": {"name": "Content-Length"}}, "auth.placement.name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_login_is_told_with_its_path(change: dict[str, Any], path: str) -> None:
    assert [fault.path for fault in login_call.faults({**LOGIN, **change})] == [path]


def test_a_login_needs_the_secrets_that_it_names() -> None:
    form = login_call.LoginCallAuth.model_validate({**LOGIN, "headers": {"X": "{{key}} {{ password }}"}})
    assert login_call.MODE.needs(form) == ("password", "key")
    assert login_call.destinations(LOGIN) == {}
    assert login_call.destinations({**LOGIN, "url": "https://b.example/l"}) == {"url": "https://b.example/l"}


@pytest.mark.parametrize(
    "key",
    ["", "no json", "[]", json.dumps({"type": "authorized_user"}), json.dumps({"type": "service_account"})],
    ids=str,
)
def test_what_is_no_service_accounts_key_is_told(key: str) -> None:
    found = google_service_account.faults({"mode": "google_service_account", "key": key})
    assert [fault.path for fault in found] == ([] if not key else ["auth.key"])


def test_secrets_are_in_no_repr_and_unknown_fields_are_refused() -> None:
    form = oauth2.OAuth2Auth.model_validate({**OAUTH, "client_secret": "canary-secret"})
    assert "canary-secret" not in repr(form)
    with pytest.raises(ValidationError, match="passwort"):
        oauth2.OAuth2Auth.model_validate({**OAUTH, "passwort": "x"})


@pytest.mark.parametrize(
    ("placement", "header", "value"),
    [
        ({}, "Authorization", "Bearer t"),
        ({"prefix": ""}, "Authorization", "t"),
        ({"name": "X-T", "prefix": "Zoho-oauthtoken"}, "X-T", "Zoho-oauthtoken t"),
    ],
    ids=str,
)
def test_a_token_stands_in_a_header(placement: dict[str, str], header: str, value: str) -> None:
    signed = oauth2.Carried({**OAUTH, "placement": placement}, {"access_token": Secret("t")})(request())
    assert signed.headers[header] == value


def test_a_token_stands_in_the_query() -> None:
    placement = {"in": "query", "name": "key", "prefix": ""}
    signed = oauth2.Carried({**OAUTH, "placement": placement}, {"access_token": Secret("a&b")})(request())
    assert signed.url == "https://api.example/x?a=1&key=a%26b"


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ({"in": "header", "name": "X-S", "template": "s={{ token }}"}, ("X-S", "s=t;1")),
        ({"in": "cookie", "name": "sid", "template": "{{ token }}"}, ("Cookie", "c=1; sid=t%3B1")),
    ],
    ids=["header", "cookie"],
)
def test_a_session_token_stands_where_the_service_wants_it(
    placement: dict[str, str], expected: tuple[str, str]
) -> None:
    signed = login_call.Carried({**LOGIN, "placement": placement}, {"access_token": Secret("t;1")})(request())
    assert signed.headers[expected[0]] == expected[1]


def test_a_cookie_goes_back_as_it_was_set() -> None:
    value = '"gAAA=="\'\\a,b|{c}%20'
    placement = {"in": "cookie", "name": "sid", "template": "{{ token }}"}
    signed = login_call.Carried({**LOGIN, "placement": placement}, {"access_token": Secret(value)})(request())
    assert signed.headers["Cookie"] == f"c=1; sid={value}"
