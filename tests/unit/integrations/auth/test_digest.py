from __future__ import annotations

from typing import Any

import pytest
from requests import Response

from hub.integrations.auth.challenge import Challenge
from hub.integrations.auth.digest import authorization
from tests.unit.integrations.auth.requests_in_hand import a_request, signer, traces

AUTH = {"mode": "digest", "username": "Mufasa", "password": "Circle of Life"}
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def answered(challenge: Challenge, **more: Any) -> str:
    given: dict[str, Any] = {
        "username": "Mufasa",
        "password": "Circle of Life",
        "method": "GET",
        "target": "/dir/index.html",
        "body": b"",
        "count": 1,
        "cnonce": CNONCE,
    }
    return authorization(challenge, **{**given, **more})


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    challenge = Challenge("http-auth@example.org", NONCE, algorithm, "auth", OPAQUE)
    assert answered(challenge) == (
        f'Digest username="Mufasa", realm="http-auth@example.org", nonce="{NONCE}", uri="/dir/index.html", '
        f'algorithm={algorithm}, response="{response}", qop=auth, nc=00000001, cnonce="{CNONCE}", opaque="{OPAQUE}"'
    )


def test_the_example_of_rfc_2617_3_5() -> None:
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth")
    value = answered(challenge, password="Circle Of Life", cnonce="0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in value


def test_the_example_of_rfc_2069_2_4() -> None:
    # Its erratum 749 corrects the response.
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    value = answered(challenge, password="CircleOfLife")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in value
    assert "nc=" not in value
    assert "cnonce=" not in value


def test_a_session_hash_and_the_body_change_the_response() -> None:
    plain = Challenge("r", "n", "MD5", "auth")
    found = {
        answered(challenge, body=body).split('response="')[1][:32]
        for challenge in (
            plain,
            Challenge("r", "n", "MD5-sess", "auth"),
            Challenge("r", "n", "MD5", "auth-int"),
        )
        for body in (b"one", b"two")
    }
    assert len(found) == 4  # the body counts for auth-int alone


def test_a_user_name_is_hashed_when_the_server_wants_that() -> None:
    value = answered(Challenge("http-auth@example.org", "n", "SHA-256", "auth", hashes_user=True))
    assert "Mufasa" not in value
    assert value.endswith("userhash=true")


def test_a_user_name_beyond_ascii_is_written_as_rfc_8187_says() -> None:
    # The name of RFC 7616, 3.9.2.
    value = answered(Challenge("r", "n"), username="Jäsøn Doe")
    assert value.startswith("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, ")


def test_quotes_in_names_stay_inside_them() -> None:
    assert answered(Challenge('a "b" \\c', "n")).startswith(
        'Digest username="Mufasa", realm="a \\"b\\" \\\\c", '
    )


class Exchange:
    """A server's answers in order, and what it was sent."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.sent: list[str | None] = []

    def send(self, request: Any) -> Response:
        self.sent.append(request.headers.get("Authorization"))
        response = Response()
        response.status_code, headers = self.answers.pop(0)
        response.headers.update(headers)
        response.request = request
        response.connection = self  # type: ignore[assignment]
        return response

    def call(self, sign: Any) -> int:
        request = sign(a_request())
        response = self.send(request)
        for hook in request.hooks["response"]:
            response = hook(response)
        status: int = response.status_code
        return status


def asks(nonce: str, *, stale: bool = False) -> tuple[int, dict[str, str]]:
    more = ", stale=true" if stale else ""
    return 401, {"WWW-Authenticate": f'Digest realm="r", qop="auth", nonce="{nonce}"{more}'}


def nonces(exchange: Exchange) -> list[tuple[str, str] | None]:
    """Nonce and count of each request."""
    return [
        None if sent is None else (sent.split('nonce="')[1].split('"')[0], sent.split("nc=")[1][:8])
        for sent in exchange.sent
    ]


def test_the_second_call_needs_no_challenge_and_counts_on() -> None:
    server, sign = Exchange(asks("one"), (200, {}), (200, {}), (200, {})), signer(AUTH)
    assert [server.call(sign) for _ in range(3)] == [200, 200, 200]
    assert nonces(server) == [None, ("one", "00000001"), ("one", "00000002"), ("one", "00000003")]


def test_a_nonce_that_got_too_old_is_replaced_within_the_call() -> None:
    server = Exchange(asks("one"), (200, {}), asks("two", stale=True), (200, {}), (200, {}))
    sign = signer(AUTH)
    assert [server.call(sign) for _ in range(3)] == [200, 200, 200]
    assert nonces(server)[2:] == [("one", "00000002"), ("two", "00000001"), ("two", "00000002")]


def test_wrong_credentials_are_tried_once_and_their_nonce_is_not_kept() -> None:
    server, sign = Exchange(asks("one"), asks("two"), asks("three"), (200, {})), signer(AUTH)
    assert [server.call(sign) for _ in range(2)] == [401, 200]
    assert nonces(server) == [None, ("one", "00000001"), None, ("three", "00000001")]


def test_a_refusal_of_a_good_nonce_is_final() -> None:
    server, sign = Exchange(asks("one"), (200, {}), asks("one")), signer(AUTH)
    assert [server.call(sign) for _ in range(2)] == [200, 401]


def test_a_refusal_without_a_challenge_is_left_alone() -> None:
    server = Exchange((401, {"WWW-Authenticate": 'Basic realm="r"'}), (403, {}))
    sign = signer(AUTH)
    assert [server.call(sign) for _ in range(2)] == [401, 403]


def test_the_server_may_name_the_nonce_of_the_next_call() -> None:
    server = Exchange(asks("one"), (200, {"Authentication-Info": 'nextnonce="two"'}), (200, {}))
    sign = signer(AUTH)
    assert [server.call(sign) for _ in range(2)] == [200, 200]
    assert nonces(server)[2] == ("two", "00000001")


def test_the_password_is_what_must_not_come_back() -> None:
    assert traces(AUTH) == ["Circle of Life"]
