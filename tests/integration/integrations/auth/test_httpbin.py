"""Credentials that httpbin checks: right ones are taken, wrong ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hub.net.session import GuardedSession
from tests.integration.integrations.auth.served import Served
from tests.unit.integrations.auth.requests_in_hand import signer


@pytest.fixture
def get(session: GuardedSession, httpbin: Served) -> Callable[..., Any]:
    """A call with a definition's `auth`, or with an authentication object."""

    def call(path: str, auth: Any, **options: Any) -> Any:
        sign = signer(auth) if isinstance(auth, dict) else auth
        return session.call(options.pop("method", "GET"), httpbin.url + path, auth=sign, **options)

    return call


def test_basic(get: Callable[..., Any]) -> None:
    right = {"mode": "basic", "username": "ann", "password": "pässwörd"}
    assert get("/basic-auth/ann/p%C3%A4ssw%C3%B6rd", right).status == 200
    assert get("/basic-auth/ann/p%C3%A4ssw%C3%B6rd", {**right, "password": "wrong"}).status == 401


def test_a_key_as_the_user_name_of_basic(get: Callable[..., Any]) -> None:
    auth = {"mode": "api_key", "in": "basic", "key": "k3y", "basic_password": "x"}
    assert get("/basic-auth/k3y/x", auth).status == 200
    assert get("/basic-auth/k3y/x", {**auth, "key": "other"}).status == 401


def test_bearer(get: Callable[..., Any]) -> None:
    outcome = get("/bearer", {"mode": "bearer", "token": "t0ken"})
    assert json.loads(outcome.body) == {"authenticated": True, "token": "t0ken"}
    assert get("/bearer", None).status == 401


def test_a_key_arrives_where_it_should(get: Callable[..., Any]) -> None:
    key = {"mode": "api_key", "key": "k3y +&", "name": "the-key"}
    assert json.loads(get("/headers", key).body)["headers"]["The-Key"] == "k3y +&"
    assert json.loads(get("/get?a=1", {**key, "in": "query"}).body)["args"] == {"a": "1", "the-key": "k3y +&"}
    assert json.loads(get("/cookies", {**key, "in": "cookie"}).body)["cookies"] == {"the-key": "k3y%20%2B%26"}


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "any"])
def test_digest(get: Callable[..., Any], algorithm: str, qop: str) -> None:
    path = f"/digest-auth/{qop}/ann/pass-w0rd/{algorithm}"
    right = {"mode": "digest", "username": "ann", "password": "pass-w0rd"}
    assert get(path, right, data=b"a body").status == 200
    assert get(path, {**right, "password": "wrong"}, data=b"a body").status == 401


def test_digest_costs_one_more_request_once_and_not_at_every_call(
    get: Callable[..., Any], httpbin: Served
) -> None:
    sign = signer({"mode": "digest", "username": "ann", "password": "pass-w0rd"})
    path = "/digest-auth/auth/ann/pass-w0rd/SHA-256"
    assert get(path, sign).status == 200
    with ThreadPoolExecutor(8) as pool:
        assert {outcome.status for outcome in pool.map(lambda _: get(path, sign), range(40))} == {200}
    assert [status for _, status in httpbin.asked] == ["401"] + ["200"] * 41


def test_digest_on_a_busy_start_answers_every_challenge(get: Callable[..., Any], httpbin: Served) -> None:
    sign = signer({"mode": "digest", "username": "ann", "password": "pass-w0rd"})
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda _: get("/digest-auth/auth/ann/pass-w0rd/MD5", sign), range(24))
        assert {outcome.status for outcome in done} == {200}
    assert len(httpbin.asked) <= 24 + 8


def test_digest_within_one_deadline(get: Callable[..., Any]) -> None:
    sign = signer({"mode": "digest", "username": "ann", "password": "pass-w0rd"})
    outcome = get("/digest-auth/auth/ann/pass-w0rd/MD5", sign, timeout=0.000001)
    assert outcome.status is None
    assert outcome.message
