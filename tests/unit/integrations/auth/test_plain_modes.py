"""Keys, passwords and tokens that travel as they are."""

from __future__ import annotations

from typing import Any

import pytest

from hub.integrations.auth.registry import MODES
from tests.unit.integrations.auth.requests_in_hand import a_request, faults, signer, traces

KEY = {"mode": "api_key", "key": "k3y with+signs&more"}


def test_a_key_goes_into_its_header() -> None:
    signed = signer(KEY)(a_request())
    assert signed.headers["X-API-Key"] == "k3y with+signs&more"


def test_a_key_follows_its_prefix() -> None:
    signed = signer({**KEY, "name": "Authorization", "prefix": "Token "})(a_request())
    assert signed.headers["Authorization"] == "Token k3y with+signs&more"


def test_a_key_in_the_query_is_encoded_and_leaves_the_rest_as_it_is() -> None:
    auth = {**KEY, "in": "query", "name": "api key"}
    signed = signer(auth)(a_request(url="https://api.example.com/x%2Fy?b=%7E&a=1+2"))
    assert signed.url == ("https://api.example.com/x%2Fy?b=~&a=1+2&api%20key=k3y%20with%2Bsigns%26more")


def test_a_key_is_the_only_parameter_where_there_is_no_other() -> None:
    signed = signer({**KEY, "in": "query", "name": "key"})(a_request(url="https://api.example.com/"))
    assert signed.url == "https://api.example.com/?key=k3y%20with%2Bsigns%26more"


@pytest.mark.parametrize("spelling", ["k3y%20with%2Bsigns%26more", "k3y+with%2bsigns%26more"])
def test_a_key_that_a_redirect_or_a_link_repeats_is_sent_once(spelling: str) -> None:
    sign = signer({**KEY, "in": "query", "name": "key"})
    request = a_request(url=f"https://api.example.com/items/?a=1&&key={spelling}&b")
    assert sign(request).url == "https://api.example.com/items/?a=1&&b&key=k3y%20with%2Bsigns%26more"


def test_a_parameter_with_the_name_of_a_key_and_another_value_stays() -> None:
    signed = signer({**KEY, "in": "query", "name": "key"})(a_request(url="https://api.example.com/?key=1"))
    assert signed.url == "https://api.example.com/?key=1&key=k3y%20with%2Bsigns%26more"


def test_a_key_in_a_cookie_joins_the_others() -> None:
    sign = signer({**KEY, "in": "cookie", "name": "sid"})
    assert sign(a_request()).headers["Cookie"] == "sid=k3y%20with%2Bsigns%26more"
    assert (
        sign(a_request(headers={"cookie": "a=b"})).headers["Cookie"] == "a=b; sid=k3y%20with%2Bsigns%26more"
    )


def test_a_key_in_place_of_a_user_name() -> None:
    # The example of docs.stripe.com/api/authentication: the key, a colon, no password.
    auth = {"mode": "api_key", "in": "basic", "key": "sk_test_key"}
    assert signer(auth)(a_request()).headers["Authorization"] == "Basic c2tfdGVzdF9rZXk6"
    assert traces(auth) == ["sk_test_key", "c2tfdGVzdF9rZXk6"]


def test_a_password_that_the_service_wants_beside_the_key() -> None:
    auth = {"mode": "api_key", "in": "basic", "key": "sk_test_key", "basic_password": "x"}
    assert signer(auth)(a_request()).headers["Authorization"] == "Basic c2tfdGVzdF9rZXk6eA=="


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"name": "Content-Length"}, "auth.name"),
        ({"name": "webhook-id"}, "auth.name"),
        ({"name": "X Key"}, "auth.name"),
        ({"name": "X-Key:"}, "auth.name"),
        ({"in": "cookie", "name": "a=b"}, "auth.name"),
        ({"in": "basic", "key": "a:b"}, "auth.key"),
        ({"in": "basic", "name": "X-Key"}, "auth.name"),
        ({"basic_password": "x"}, "auth.basic_password"),
        ({"prefix": "Token\n"}, "auth.prefix"),
        ({"in": "body"}, "auth.in"),
        ({"token": "t"}, "auth.token"),
    ],
    ids=str,
)
def test_what_cannot_carry_a_key_is_refused(more: dict[str, Any], path: str) -> None:
    assert path in faults({**KEY, **more})


def test_a_user_name_and_a_password() -> None:
    # RFC 7617, 2.
    auth = {"mode": "basic", "username": "Aladdin", "password": "open sesame"}
    assert signer(auth)(a_request()).headers["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert traces(auth) == ["open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]


def test_a_password_beyond_ascii_travels_in_utf_8() -> None:
    # RFC 7617, 2.1.
    auth = {"mode": "basic", "username": "test", "password": "123£"}
    assert signer(auth)(a_request()).headers["Authorization"] == "Basic dGVzdDoxMjPCow=="


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a\x7fb"], ids=["colon", "newline", "delete"])
def test_a_user_name_that_would_end_early_is_refused(name: str) -> None:
    assert "auth.username" in faults({"mode": "basic", "username": name, "password": "p"})


def test_a_token_follows_the_word_bearer() -> None:
    # RFC 6750, 2.1.
    auth = {"mode": "bearer", "token": "mF_9.B5f-4.1JqM"}
    assert signer(auth)(a_request()).headers["Authorization"] == "Bearer mF_9.B5f-4.1JqM"
    assert traces(auth) == ["mF_9.B5f-4.1JqM"]


@pytest.mark.parametrize("mode", ["none", "mtls"])
def test_modes_without_credentials_of_their_own_add_nothing(mode: str) -> None:
    assert MODES[mode].sign is None
    assert traces({"mode": mode}) == []
