"""Grants that need no person: signed clients, assertions, exchanges, service accounts and logins."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hub.integrations.grants.errors import NeedsReauth, NotYet
from tests.integration.integrations.grants.world import World, token_of
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.support.oidc import serving_oidc

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def make_key(algorithm: str) -> Key:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def number(value: int, size: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(size)).rstrip(b"=").decode()


def jwk(key: Key) -> dict[str, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_numbers()
        return {"kty": "RSA", "kid": "k1", "n": number(public.n, 256), "e": number(public.e, 3)}
    point = key.public_key().public_numbers()
    return {"kty": "EC", "kid": "k1", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}


def part(token: str, index: int) -> bytes:
    text = token.split(".")[index]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(token: str, key: Key) -> dict[str, Any]:
    """The claims of a JWT whose signature is right."""
    body, signature = token.rpartition(".")[0].encode(), part(token, 2)
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(signature, body, padding.PKCS1v15(), SHA256())
    else:
        der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        key.public_key().verify(der, body, ec.ECDSA(SHA256()))
    claims: dict[str, Any] = json.loads(part(token, 1))
    return claims


def fields(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


def granting(provider: Provider, **body: Any) -> None:
    provider.default = lambda _call: Answer(body=json.dumps({"access_token": "granted", **body}).encode())


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_client_proves_itself_with_its_private_key(world: World, algorithm: str) -> None:
    key = make_key(algorithm)
    with serving_oidc(keys=[jwk(key)], algorithm=algorithm) as oidc:
        auth = oidc.settings(
            grant="client_credentials", client_id="signer", client_auth="private_key_jwt",
            algorithm=algorithm, key_id="k1", scopes=[],
        )  # fmt: skip
        granted = world.grants().credentials(world.holder(auth, private_key=pem(key)))
        assert oidc.lives(token_of(granted))
        other = world.holder(auth, private_key=pem(make_key(algorithm)))
        with pytest.raises(NeedsReauth, match="invalid_client"):
            world.grants("other").credentials(other)


def test_a_secret_in_the_body_is_taken_too(world: World) -> None:
    with serving_oidc() as oidc:
        auth = oidc.settings(
            grant="client_credentials", client_id="machine", client_auth="post", scopes=["read"]
        )
        granted = world.grants().credentials(world.holder(auth, client_secret="machine-secret-0123456789"))
        assert oidc.lives(token_of(granted))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_an_assertion_asks_for_a_token(world: World, provider: Provider, algorithm: str) -> None:
    granting(provider)
    key = make_key(algorithm)
    auth = {
        "mode": "oauth2",
        "grant": "jwt_bearer",
        "client_auth": "none",
        "token_url": f"{provider.url}/token",
        "algorithm": algorithm,
        "key_id": "k1",
        "assertion": {
            "issuer": "me", "subject": "ada", "audience": "https://api.example", "claims": {"box": 1, "iss": "x"},
        },
    }  # fmt: skip
    assert token_of(world.grants().credentials(world.holder(auth, private_key=pem(key)))) == "granted"
    [call] = provider.calls
    found = fields(call)
    assert found.keys() == {"grant_type", "assertion"}
    assert json.loads(part(found["assertion"], 0)) == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    claims = verified(found["assertion"], key)
    assert claims["exp"] - claims["iat"] == 300
    assert {name: claims[name] for name in ("iss", "sub", "aud", "box")} == {
        "iss": "me",
        "sub": "ada",
        "aud": "https://api.example",
        "box": 1,
    }


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("no key at all", "not a PEM key"),
        (pem(make_key("ES256")), "not an RSA key"),
        (None, "no `auth.private_key`"),
    ],
    ids=["not PEM", "another kind", "missing"],
)
def test_a_key_that_cannot_sign_needs_a_person(
    world: World, provider: Provider, key: str | None, match: str
) -> None:
    auth = {
        "mode": "oauth2", "grant": "jwt_bearer", "client_auth": "none", "client_id": "me",
        "token_url": f"{provider.url}/token",
    }  # fmt: skip
    secrets = {} if key is None else {"private_key": key}
    with pytest.raises(NeedsReauth, match=match):
        world.grants().credentials(world.holder(auth, **secrets))
    assert provider.calls == []


def test_a_token_is_exchanged(world: World, provider: Provider) -> None:
    granting(provider)
    auth = {
        "mode": "oauth2",
        "grant": "token_exchange",
        "client_id": "me",
        "client_auth": "post",
        "token_url": f"{provider.url}/token",
        "token_parameters": {"audience": "https://api.example"},
        "exchange": {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
    }
    holder = world.holder(auth, client_secret="s3cret-s3cret", subject_token="theirs", actor_token="ours")
    world.grants().credentials(holder)
    [call] = provider.calls
    assert fields(call) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "theirs",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "actor_token": "ours",
        "actor_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "https://api.example",
        "client_id": "me",
        "client_secret": "s3cret-s3cret",
    }


def test_a_given_refresh_token_is_used_and_its_successor_kept(world: World, provider: Provider) -> None:
    granting(provider, refresh_token="second", expires_in=60)
    auth = {
        "mode": "oauth2", "grant": "refresh_token", "client_id": "me", "client_auth": "post",
        "token_url": f"{provider.url}/token",
    }  # fmt: skip
    holder = world.holder(auth, client_secret="s3cret-s3cret", refresh_token="first")
    for owner in ("one", "two", "three"):
        world.grants(owner).credentials(holder)
        world.change(holder, "expires_at = now()")
    assert [fields(call)["refresh_token"] for call in provider.calls] == ["first", "second", "second"]


def test_without_rotation_the_given_refresh_token_stays(world: World, provider: Provider) -> None:
    granting(provider, refresh_token="narrower", expires_in=60)
    auth = {
        "mode": "oauth2", "grant": "refresh_token", "client_id": "me", "client_auth": "post",
        "token_url": f"{provider.url}/token", "rotation": False,
    }  # fmt: skip
    holder = world.holder(auth, client_secret="s3cret-s3cret", refresh_token="first")
    for owner in ("one", "two"):
        world.grants(owner).credentials(holder)
        world.change(holder, "expires_at = now()")
    assert [fields(call)["refresh_token"] for call in provider.calls] == ["first", "first"]


def test_an_answer_without_a_refresh_token_leaves_the_old_one(world: World, provider: Provider) -> None:
    provider.script = [
        Answer(body=b'{"access_token":"a1","refresh_token":"kept","expires_in":60}'),
        Answer(body=b'{"access_token":"a2","expires_in":60}'),
        Answer(body=b'{"access_token":"a3","expires_in":60}'),
    ]
    auth = {
        "mode": "oauth2", "grant": "refresh_token", "client_id": "me", "client_auth": "none",
        "token_url": f"{provider.url}/token",
    }  # fmt: skip
    holder = world.holder(auth, refresh_token="first")
    for owner in ("one", "two", "three"):
        world.grants(owner).credentials(holder)
        world.change(holder, "expires_at = now()")
    assert [fields(call)["refresh_token"] for call in provider.calls] == ["first", "kept", "kept"]


def test_a_google_service_account_is_exchanged_where_the_hub_says(world: World, provider: Provider) -> None:
    granting(provider, expires_in=3599)
    key = make_key("RS256")
    document = {
        "type": "service_account",
        "client_email": "robot@project.iam.example",
        "private_key": pem(key),
        "private_key_id": "abc",
        "token_uri": "http://127.0.0.1:9/evil",
    }
    auth = {"mode": "google_service_account", "scopes": ["s1", "s2"], "subject": "ada@example.com"}
    holder = world.holder(auth, key=json.dumps(document))
    token_url = f"{provider.url}/token"
    granted = world.grants(google_token_url=token_url).credentials(holder)
    assert token_of(granted) == "granted"
    [call] = provider.calls
    claims = verified(fields(call)["assertion"], key)
    assert (claims["iss"], claims["sub"], claims["aud"], claims["scope"]) == (
        "robot@project.iam.example",
        "ada@example.com",
        token_url,
        "s1 s2",
    )


def test_a_login_gives_a_session_token(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(body=b'{"session":{"id":"tok","ttl":"120"}}')
    auth = {
        "mode": "login_call",
        "url": f"{provider.url}/login",
        "json": {"user": "{{ username }}", "pass": "{{ password }}", "n": 1},
        "headers": {"X-Key": "k {{ key }}"},
        "values": {"username": "ada"},
        "token": {"in": "json", "name": "session.id"},
        "life_path": "session.ttl",
    }
    holder = world.holder(auth, password='qu"ote', key="kkkk")
    assert token_of(world.grants().credentials(holder)) == "tok"
    [call] = provider.calls
    assert json.loads(call.body) == {"user": "ada", "pass": 'qu"ote', "n": 1}
    assert call.headers["x-key"] == "k kkkk"
    row = world.row(holder)
    assert round((row.expires_at - row.obtained_at).total_seconds()) == 120


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        ({"in": "header", "name": "X-Auth"}, Answer(headers={"X-Auth": "tok"})),
        ({"in": "text"}, Answer(body=b" tok\n")),
        (
            {"in": "cookie", "name": "sid"},
            Answer(headers={"Set-Cookie": "sid=tok; Expires=Wed, 21 Oct 2065 07:28:00 GMT; Path=/"}),
        ),
    ],
    ids=["header", "text", "cookie"],
)
def test_a_login_answers_in_many_ways(
    world: World, provider: Provider, place: dict[str, str], answer: Answer
) -> None:
    provider.default = lambda _call: answer
    auth = {
        "mode": "login_call", "url": f"{provider.url}/login", "form": {"p": "{{password}}"}, "token": place,
    }  # fmt: skip
    holder = world.holder(auth, password="pass word")
    assert token_of(world.grants().credentials(holder)) == "tok"
    assert fields(provider.calls[0]) == {"p": "pass word"}
    assert world.row(holder).expires_at is None


def test_a_login_that_is_refused_needs_a_person_and_one_that_fails_does_not(
    world: World, provider: Provider
) -> None:
    auth = {"mode": "login_call", "url": f"{provider.url}/login", "json": {"p": "{{ password }}"}}
    provider.default = lambda _call: Answer(401, b"bad password")
    with pytest.raises(NeedsReauth, match="401"):
        world.grants("one").credentials(world.holder(auth, password="p"))
    provider.default = lambda _call: Answer(302, b"", {"Location": f"{provider.url}/elsewhere"})
    with pytest.raises(NotYet, match="redirect"):
        world.grants("two").credentials(world.holder(auth, password="p"))
    provider.default = lambda _call: Answer(200, b"x" * 70_000)
    with pytest.raises(NotYet, match="longer than 65536"):
        world.grants("three").credentials(world.holder(auth, password="p"))
    assert all(call.path == "/login" for call in provider.calls)
