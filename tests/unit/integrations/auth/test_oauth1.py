from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from hub.core.errors import Invalid
from hub.integrations.auth.registry import MODES
from tests.unit.integrations.auth.requests_in_hand import FORM, a_request, faults, signer, traces

FORM_TYPE = "application/x-www-form-urlencoded"
AUTH: dict[str, Any] = {
    "mode": "oauth1",
    "consumer_key": "dpf43f3p2l4k3l03",
    "consumer_secret": "kd94hf93k423kf44",
    "token": "nnch734d00sl2jdk",
    "token_secret": "pfkkdhi9sl3r4s00",
}
PHOTOS = "http://photos.example.net/photos?file=vacation.jpg&size=original"


def pem(key: Any, encryption: KeySerializationEncryption | None = None) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return text.decode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def header_parameters(request: Any) -> dict[str, str]:
    scheme, _, rest = str(request.headers["Authorization"]).partition(" ")
    assert scheme == "OAuth"
    pairs = (part.strip().split("=", 1) for part in rest.split(","))
    return {name: unquote(value.strip('"')) for name, value in pairs}


def test_the_example_of_the_first_specification() -> None:
    # oauth.net/core/1.0a, Appendix A.5. (That of RFC 5849, 1.2 has no oauth_version, which oauthlib always sends.)
    sign = signer(AUTH, nonce="kllo9940pd9333jh", timestamp="1191242096")
    found = header_parameters(sign(a_request(url=PHOTOS)))
    assert found == {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_signature": "tR3+Ty81lMeYAr/Fid0kMTYa/WM=",
        "oauth_timestamp": "1191242096",
        "oauth_nonce": "kllo9940pd9333jh",
        "oauth_version": "1.0",
    }


def test_a_form_is_signed_with_the_query() -> None:
    # developer.x.com, "Creating a signature".
    auth = {
        "mode": "oauth1",
        "consumer_key": "xvz1evFS4wEEPTGEFPHBog",
        "consumer_secret": "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        "token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
        "token_secret": "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    }
    body = b"status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21"
    request = a_request(
        "POST",
        "https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
        headers={"Content-Type": f"{FORM_TYPE}; charset=utf-8"},
        data=body,
    )
    sign = signer(auth, nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", timestamp="1318622958")
    signed = sign(request)
    assert header_parameters(signed)["oauth_signature"] == "hCtSmYh+iHYCEqBWrE7C7hYmtUk="
    assert signed.body == body
    assert signed.headers["Content-Type"] == f"{FORM_TYPE}; charset=utf-8"


def test_a_body_that_is_no_form_goes_out_as_it_is_and_unsigned() -> None:
    body = b'{"a":"\xff"}'
    signs = [
        signer(AUTH, nonce="n", timestamp="1")(
            a_request("POST", PHOTOS, {"Content-Type": "application/json"}, data)
        )
        for data in (body, None)
    ]
    assert signs[0].body == body
    first, second = (header_parameters(one)["oauth_signature"] for one in signs)
    assert first == second


@pytest.mark.parametrize(("method", "name"), [("HMAC-SHA1", "sha1"), ("HMAC-SHA256", "sha256")])
def test_a_body_that_is_no_form_is_hashed_where_that_is_wanted(method: str, name: str) -> None:
    auth = {**AUTH, "body_hash": True, "signature_method": method}
    signed = signer(auth)(a_request("POST", PHOTOS, {"Content-Type": "application/json"}, b"{\xff}"))
    expected = base64.b64encode(hashlib.new(name, b"{\xff}").digest()).decode()
    assert header_parameters(signed)["oauth_body_hash"] == expected


def test_a_form_is_never_hashed() -> None:
    signed = signer({**AUTH, "body_hash": True})(
        a_request("POST", PHOTOS, {"Content-Type": FORM_TYPE}, b"a=b")
    )
    assert "oauth_body_hash" not in header_parameters(signed)


def test_in_the_query() -> None:
    sign = signer({**AUTH, "placement": "query"}, nonce="kllo9940pd9333jh", timestamp="1191242096")
    signed = sign(a_request(url=PHOTOS))
    assert "Authorization" not in signed.headers
    found = dict(parse_qsl(urlsplit(signed.url or "").query))
    assert found["oauth_signature"] == "tR3+Ty81lMeYAr/Fid0kMTYa/WM="
    assert (found["file"], found["size"]) == ("vacation.jpg", "original")


def test_in_the_form() -> None:
    request = a_request("POST", PHOTOS, {"Content-Type": FORM_TYPE}, b"a=b+c&d=%C3%A9")
    signed = signer({**AUTH, "placement": "body"})(request)
    assert isinstance(signed.body, bytes)
    found = dict(parse_qsl(signed.body.decode()))
    assert (found["a"], found["d"]) == ("b c", "é")
    assert found["oauth_signature"]
    assert "Authorization" not in signed.headers


@pytest.mark.parametrize(
    ("method", "headers", "data"),
    [
        ("POST", {"Content-Type": "application/json"}, b"{}"),
        ("GET", {}, None),
        ("POST", {"Content-Type": FORM_TYPE}, b""),
    ],
    ids=["json", "none", "empty"],
)
def test_what_is_no_form_cannot_have_the_signature_in_it(method: str, headers: Any, data: Any) -> None:
    with pytest.raises(Invalid, match="no form"):
        signer({**AUTH, "placement": "body"})(a_request(method, PHOTOS, headers, data))


def test_a_form_that_is_no_form_is_refused_without_its_text() -> None:
    with pytest.raises(Invalid, match="percent-encoded") as refused:
        signer(AUTH)(a_request("POST", PHOTOS, {"Content-Type": FORM_TYPE}, b'{"a": "secret"}'))
    assert "secret" not in str(refused.value)


def test_two_legs_sign_without_a_token() -> None:
    auth = {name: AUTH[name] for name in ("mode", "consumer_key", "consumer_secret")}
    assert "oauth_token" not in header_parameters(signer(auth)(a_request(url=PHOTOS)))


def test_plaintext_sends_both_secrets_and_says_so_to_the_redactor() -> None:
    auth = {**AUTH, "signature_method": "PLAINTEXT", "consumer_secret": "a b", "token_secret": "c/d"}
    signed = signer({**auth, "realm": "Photos"})(a_request(url=PHOTOS))
    sent = str(signed.headers["Authorization"])
    assert sent.startswith('OAuth realm="Photos"')
    assert header_parameters(signed)["oauth_signature"] == "a%20b&c%2Fd"
    # What the redactor knows, it also knows percent-encoded.
    assert any(quote(text, safe="") in sent for text in traces(auth) if "&" in text)
    assert {"a b", "a%20b", "c/d", "c%2Fd"} <= set(traces(auth))


def test_rsa_signs_the_same_base_string(key: rsa.RSAPrivateKey) -> None:
    auth = {
        "mode": "oauth1",
        "consumer_key": "dpf43f3p2l4k3l03",
        "signature_method": "RSA-SHA256",
        "private_key": pem(key),
    }
    signed = signer(auth, nonce="n", timestamp="1")(a_request(url=PHOTOS))
    signature = base64.b64decode(header_parameters(signed)["oauth_signature"])
    # By hand, as RFC 5849, 3.4.1 says.
    parameters = (
        "file=vacation.jpg&oauth_consumer_key=dpf43f3p2l4k3l03&oauth_nonce=n&oauth_signature_method=RSA-SHA256"
        "&oauth_timestamp=1&oauth_version=1.0&size=original"
    )
    base = f"GET&http%3A%2F%2Fphotos.example.net%2Fphotos&{quote(parameters, safe='')}"
    key.public_key().verify(signature, base.encode(), PKCS1v15(), SHA256())


def test_every_request_is_new() -> None:
    sign = signer(AUTH)
    first, second = (header_parameters(sign(a_request(url=PHOTOS))) for _ in range(2))
    assert first["oauth_nonce"] != second["oauth_nonce"]


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        ({}, ("consumer_secret",)),
        ({"token": "t"}, ("consumer_secret", "token_secret")),
        ({"token": "t", "signature_method": "RSA-SHA1"}, ("private_key",)),
    ],
    ids=["two legs", "three legs", "RSA"],
)
def test_the_method_says_which_secrets_there_must_be(more: dict[str, Any], needed: tuple[str, ...]) -> None:
    form = FORM.validate_python({"mode": "oauth1", "consumer_key": "k", **more})
    mode = MODES["oauth1"]
    assert {name for name in mode.secret_names(form) if not mode.may_lack(name, form)} == set(needed)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"token": ""}, "auth.token"),
        ({"consumer_key": ""}, "auth.consumer_key"),
        ({"realm": "Photos", "placement": "query"}, "auth.realm"),
        ({"body_hash": True, "placement": "body"}, "auth.body_hash"),
        ({"private_key": "junk", "signature_method": "RSA-SHA1"}, "auth.private_key"),
        ({"signature_method": "HMAC-MD5"}, "auth.signature_method"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], path: str) -> None:
    assert path in faults({**AUTH, **more})


def test_only_an_rsa_key_without_a_passphrase_will_do(key: rsa.RSAPrivateKey) -> None:
    auth = {"mode": "oauth1", "consumer_key": "k", "signature_method": "RSA-SHA1"}
    assert faults({**auth, "private_key": pem(key)}) == {}
    for bad in (pem(key, BestAvailableEncryption(b"x")), pem(ec.generate_private_key(ec.SECP256R1()))):
        assert "auth.private_key" in faults({**auth, "private_key": bad})
    assert "auth.private_key" in faults({**AUTH, "private_key": pem(key)})
