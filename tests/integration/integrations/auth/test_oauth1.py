"""OAuth 1.0 against a server that checks signatures: oauthlib's resource endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from oauthlib.oauth1 import RequestValidator, ResourceEndpoint

from hub.net.session import GuardedSession
from tests.integration.integrations.auth.served import Served, serving
from tests.unit.integrations.auth.requests_in_hand import signer

FORM_TYPE = "application/x-www-form-urlencoded"
AUTH = {
    "mode": "oauth1",
    "consumer_key": "consumer-key-of-this-test",
    # Nothing that needs encoding: oauthlib's server decodes the signature of PLAINTEXT once too often.
    "consumer_secret": "consumer-secret",
    "token": "token-of-this-very-test",
    "token_secret": "token-secret",
}
KEY = rsa.generate_private_key(65537, 2048)


class Validator(RequestValidator):  # type: ignore[misc, unused-ignore]
    """Knows one consumer and one token; takes each nonce once."""

    enforce_ssl = False
    nonce_length = (8, 64)
    allowed_signature_methods = (
        "HMAC-SHA1",
        "HMAC-SHA256",
        "HMAC-SHA512",
        "RSA-SHA1",
        "RSA-SHA256",
        "PLAINTEXT",
    )
    safe_characters: ClassVar = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    client_key_length = (5, 40)
    access_token_length = (5, 40)
    dummy_client = "dummy-client"
    dummy_access_token = "dummy-token"

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Any] = set()

    def get_client_secret(self, client_key: Any, request: Any) -> str:
        return AUTH["consumer_secret"]

    def get_access_token_secret(self, client_key: Any, token: Any, request: Any) -> str:
        return AUTH["token_secret"]

    def get_rsa_key(self, client_key: Any, request: Any) -> str:
        return KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def validate_client_key(self, client_key: Any, request: Any) -> bool:
        return bool(client_key == AUTH["consumer_key"])

    def validate_access_token(self, client_key: Any, token: Any, request: Any) -> bool:
        return bool(token == AUTH["token"])

    def validate_timestamp_and_nonce(
        self, client_key: Any, timestamp: Any, nonce: Any, *args: Any, **kwargs: Any
    ) -> bool:
        new = (timestamp, nonce) not in self.seen
        self.seen.add((timestamp, nonce))
        return new

    def validate_realms(self, *args: Any, **kwargs: Any) -> bool:
        return True


@pytest.fixture
def server() -> Iterator[Served]:
    endpoint = ResourceEndpoint(Validator())

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        url = f"http://{environ['HTTP_HOST']}{quote(environ['PATH_INFO'], safe='/;')}"
        if environ["QUERY_STRING"]:
            url += f"?{environ['QUERY_STRING']}"
        headers = {"Authorization": given} if (given := environ.get("HTTP_AUTHORIZATION")) else {}
        kind = environ.get("CONTENT_TYPE") or ""
        if kind:
            headers["Content-Type"] = kind
        form = body.decode() if kind.startswith(FORM_TYPE) else None
        valid, _ = endpoint.validate_protected_resource_request(
            url, http_method=environ["REQUEST_METHOD"], body=form, headers=headers, realms=[]
        )
        start_response("200 OK" if valid else "401 Unauthorized", [("Content-Length", "0")])
        return [b""]

    with serving(application) as served:
        yield served


def private_key() -> str:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "method", ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "PLAINTEXT"]
)
@pytest.mark.parametrize("placement", ["header", "query", "body"])
def test_a_signature_is_taken_and_a_wrong_one_is_refused(
    session: GuardedSession, server: Served, method: str, placement: str
) -> None:
    if method.startswith("RSA"):
        pytest.importorskip("jwt", reason="oauthlib's server side needs PyJWT for RSA")
    right: dict[str, Any] = {**AUTH, "signature_method": method, "placement": placement}
    if method.startswith("RSA"):
        right["private_key"] = private_key()
    if placement == "header":
        right["realm"] = "Photos"

    def status(auth: dict[str, Any]) -> int | None:
        return session.call(
            "POST",
            f"{server.url}/a%20path/x;y?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
            headers={"Content-Type": FORM_TYPE},
            data=b"c2=&a3=2+q&%C3%A9=%26",
            auth=signer(auth),
        ).status

    assert status(right) == 200
    assert status({**right, "token": "another-token-than-that"}) == 401
    if method.startswith("RSA"):
        other = rsa.generate_private_key(65537, 2048)
        right["private_key"] = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    else:
        right["token_secret"] = "another secret"
    assert status(right) == 401


def test_a_body_that_is_no_form_does_no_harm(session: GuardedSession, server: Served) -> None:
    outcome = session.call("POST", f"{server.url}/json?a=b", json={"a": "é"}, auth=signer(AUTH))
    assert outcome.status == 200


def test_what_cannot_be_signed_never_leaves(session: GuardedSession, server: Served) -> None:
    outcome = session.call("POST", server.url, json={}, auth=signer({**AUTH, "placement": "body"}))
    assert outcome.status is None
    assert "has no form" in outcome.message
    assert server.asked == []
