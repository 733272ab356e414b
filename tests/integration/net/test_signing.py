"""Authentication objects that sign a request see what goes on the wire: its final URL, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from oauthlib import oauth1
from oauthlib.oauth1.rfc5849 import signature
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header
from requests import PreparedRequest

from hub.net import GuardedSession
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import OK, Server, answers

Post = Callable[..., bytes]


@pytest.fixture
def post() -> Iterator[Post]:
    """A POST; gives the request as it arrived."""
    guarded = GuardedSession(LOOPBACK)

    def send(path: str, auth: Any, **options: Any) -> bytes:
        with Server(answers(OK)).running() as server:
            assert guarded.call("POST", f"http://127.0.0.1:{server.port}{path}", auth=auth, **options).ok
        return server.requests[0]

    yield send
    guarded.close()


def _parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return first.split(" ")[1], {name.lower(): value for name, value in headers.items()}, body


def test_an_authentication_object_sees_the_final_url_and_the_body(post: Post) -> None:
    seen: dict[str, Any] = {}

    def auth(request: PreparedRequest) -> PreparedRequest:
        seen.update(url=request.url, body=request.body, method=request.method, headers=dict(request.headers))
        request.headers["X-Signature"] = "s"
        return request

    target, headers, body = _parts(
        post("/a%2Fb/ü?x=1", auth, params={"y": "ü &", "z": ["1", "2"]}, json={"a": 1}, headers={"X-A": "1"})
    )
    assert seen["url"] == f"http://{headers['host']}{target}"
    assert target == "/a%2Fb/%C3%BC?x=1&y=%C3%BC+%26&z=1&z=2"
    assert seen["body"] == body == b'{"a": 1}'
    assert (seen["method"], seen["headers"]["X-A"]) == ("POST", "1")
    assert seen["headers"]["Content-Type"] == headers["content-type"] == "application/json"
    assert headers["x-signature"] == "s"
    assert headers["content-length"] == str(len(body))


def test_a_body_and_a_url_that_the_authentication_object_changes_are_sent(post: Post) -> None:
    def auth(request: PreparedRequest) -> PreparedRequest:
        request.prepare_url(request.url, {"key": "k"})
        request.body = b"changed and longer"
        return request

    target, headers, body = _parts(post("/x?a=1", auth, data=b"short"))
    assert target == "/x?a=1&key=k"
    assert body == b"changed and longer"
    assert headers["content-length"] == "18"


def test_an_oauth1_signature_is_valid_for_what_arrives(post: Post) -> None:
    def auth(request: PreparedRequest) -> PreparedRequest:
        client = oauth1.Client(
            "key", client_secret="canary", signature_type=oauth1.SIGNATURE_TYPE_AUTH_HEADER
        )
        assert isinstance(request.body, bytes)
        _, headers, _ = client.sign(
            str(request.url), "POST", request.body.decode(), dict(request.headers.items())
        )
        request.headers.update(headers)
        return request

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    target, headers, body = _parts(post("/p?b=2&a=%C3%BC", auth, data=b"c=3&d=+e", headers=form))
    given = parse_authorization_header(headers["authorization"])
    sent = unquote(dict(given)["oauth_signature"])
    every = [pair for pair in given if pair[0] != "oauth_signature"]
    every += parse_qsl(target.partition("?")[2]) + parse_qsl(body.decode())
    address = f"http://{headers['host']}{target.partition('?')[0]}"
    parameters: Any = every
    text = signature.signature_base_string("POST", address, signature.normalize_parameters(parameters))
    assert signature.sign_hmac_sha1_with_client(text, oauth1.Client("key", client_secret="canary")) == sent


def test_an_aws_signature_is_valid_for_what_arrives(post: Post) -> None:
    botocore = pytest.importorskip("botocore.auth", reason="the extra `aws` is not installed")
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - an optional package
    from botocore.credentials import Credentials  # noqa: PLC0415

    signer = botocore.SigV4Auth(Credentials("AKIDEXAMPLE", "canary"), "execute-api", "eu-west-1")

    def auth(request: PreparedRequest) -> PreparedRequest:
        signed = AWSRequest(request.method, request.url, dict(request.headers), request.body)
        signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request

    target, headers, body = _parts(
        post("/stage/a%20b?z=1&a=%2F", auth, data=b'{"x":1}', headers={"X-Amz-A": "1"})
    )
    given = headers["authorization"]
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-a", "x-amz-date"} <= set(names)
    again = AWSRequest("POST", f"http://{headers['host']}{target}", {n: headers[n] for n in names}, body)
    again.context["timestamp"] = headers["x-amz-date"]
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert given.endswith(f"Signature={expected}")
    assert datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).year > 2000
