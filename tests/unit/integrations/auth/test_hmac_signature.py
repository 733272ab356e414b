"""Signing schemes of real services, described in data; the expected signatures are those that they published."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from hub.integrations.auth.hmac_signature import write_signature
from hub.integrations.auth.places import Moment
from tests.unit.integrations.auth.requests_in_hand import a_request, faults, signer, traces

AUTH: dict[str, Any] = {
    "mode": "hmac",
    "string": "{{ body }}",
    "key": "key",
    "headers": {"X-Signature": "{{ signature }}"},
}


def at(seconds: float) -> Any:
    moment = Moment(datetime.fromtimestamp(seconds, UTC), "n0nce", "u-u-i-d")
    return lambda: moment


def signed(more: dict[str, Any], request: Any, seconds: float = 1_700_000_000.0) -> Any:
    return signer({**AUTH, **more}, moment=at(seconds))(request)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # RFC 2202, 3, case 2, and RFC 4231, 4.3.
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha384",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            "sha512",
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
                "caeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
    ],
)
def test_the_published_examples_of_hmac(algorithm: str, expected: str) -> None:
    request = a_request("POST", data=b"what do ya want for nothing?")
    found = signed({"algorithm": algorithm, "key": "Jefe"}, request)
    assert found.headers["X-Signature"] == expected


def test_binance_signs_the_query_with_its_time_and_puts_the_signature_last() -> None:
    # developers.binance.com, Binance Spot API: "SIGNED request example (HMAC)", example 1 with the query string.
    auth = {
        "string": "{{ query }}{{ body }}",
        "key": "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
        "secrets": {"api_key": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"},
        "headers": {"X-MBX-APIKEY": "{{ api_key }}"},
        "query": {"timestamp": "{{ timestamp }}", "signature": "{{ signature }}"},
        "timestamp_format": "unix_ms",
    }
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    request = signed(auth, a_request("POST", f"https://api.binance.com/api/v3/order?{query}"), 1499827319.559)
    assert request.url == (
        f"https://api.binance.com/api/v3/order?{query}&timestamp=1499827319559"
        "&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )
    assert request.headers["X-MBX-APIKEY"].startswith("vmPUZE6mv9SD5VNHk4HlWFsO")


def test_twilio_signs_the_url_and_the_ordered_form() -> None:
    # twilio.com/docs/usage/security, "Validating requests": the example with the token 12345.
    form = {
        "CallSid": "CA1234567890ABCDE",
        "To": "+18005551212",
        "From": "+14158675309",
        "Digits": "1234",
        "Caller": "+14158675309",
    }
    request = signed(
        {
            "string": "{{ url }}{{ form_sorted }}",
            "algorithm": "sha1",
            "encoding": "base64",
            "key": "12345",
            "headers": {"X-Twilio-Signature": "{{ signature }}"},
        },
        a_request("POST", "https://mycompany.com/myapp.php?foo=1&bar=2", data=urlencode(form).encode()),
    )
    assert request.headers["X-Twilio-Signature"] == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_field_that_is_there_twice_is_signed_with_each_of_its_values_once() -> None:
    # github.com/twilio/twilio-php, RequestValidatorTest::testValidateWithArrayAndDuplicates.
    request = signed(
        {"string": "{{ url }}{{ form_sorted }}", "algorithm": "sha1", "encoding": "base64", "key": "12345"},
        a_request(
            "POST",
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            data=b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
        ),
    )
    assert request.headers["X-Signature"] == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


def test_slack_signs_version_time_and_body() -> None:
    # docs.slack.dev, "Verifying requests from Slack".
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        "channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        "96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    request = signed(
        {
            "string": "v0:{{ timestamp }}:{{ body }}",
            "key": "8f742231b10e8888abcd99yyyzzz85a5",
            "headers": {
                "X-Slack-Request-Timestamp": "{{ timestamp }}",
                "X-Slack-Signature": "v0={{ signature }}",
            },
        },
        a_request("POST", data=body.encode()),
        1531420618,
    )
    assert request.headers["X-Slack-Request-Timestamp"] == "1531420618"
    assert request.headers["X-Slack-Signature"] == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )


def test_an_exchange_with_a_key_in_base64_and_a_passphrase() -> None:
    # docs.cdp.coinbase.com, "REST API Authentication": timestamp, method, request path, body; key in base64.
    key, body = b"\x00\x01binary key\xff", b'{"size":"0.01"}'
    request = signed(
        {
            "string": "{{ timestamp }}{{ method }}{{ target }}{{ body }}",
            "encoding": "base64",
            "key_encoding": "base64",
            "key": b64encode(key).decode(),
            "key_id": "the-key-id",
            "secrets": {"passphrase": "open sesame"},
            "headers": {
                "CB-ACCESS-KEY": "{{ key_id }}",
                "CB-ACCESS-PASSPHRASE": "{{ passphrase }}",
                "CB-ACCESS-TIMESTAMP": "{{ timestamp }}",
                "CB-ACCESS-SIGN": "{{ signature }}",
            },
        },
        a_request("POST", "https://api.exchange.example/orders?x=%2F", data=body),
    )
    expected = hmac.new(key, b"1700000000POST/orders?x=%2F" + body, hashlib.sha256).digest()
    assert b64decode(request.headers["CB-ACCESS-SIGN"]) == expected
    assert request.headers["CB-ACCESS-KEY"] == "the-key-id"
    assert request.headers["CB-ACCESS-PASSPHRASE"] == "open sesame"


def test_azure_like_headers_that_are_signed_are_on_the_request_first() -> None:
    # learn.microsoft.com, "Authentication with HMAC" (Azure App Configuration): method, target, and header values.
    body = b"{}"
    request = signed(
        {
            "string": "{{ method }}\n{{ target }}\n{{ header.x-ms-date }};{{ host }};{{ header.x-ms-content-sha256 }}",
            "encoding": "base64",
            "key_encoding": "base64",
            "key": b64encode(b"secret").decode(),
            "key_id": "id-1",
            "timestamp_format": "http_date",
            "headers": {
                "x-ms-date": "{{ timestamp }}",
                "x-ms-content-sha256": "{{ body_sha256_base64 }}",
                "Authorization": "HMAC-SHA256 Credential={{ key_id }}&Signature={{ signature }}",
            },
        },
        a_request("PUT", "https://my.azconfig.example:8443/kv/a?api-version=1.0", data=body),
    )
    digest = b64encode(hashlib.sha256(body).digest()).decode()
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    string = f"PUT\n/kv/a?api-version=1.0\n{date};my.azconfig.example:8443;{digest}"
    expected = b64encode(hmac.new(b"secret", string.encode(), hashlib.sha256).digest()).decode()
    assert request.headers["x-ms-date"] == date
    assert request.headers["x-ms-content-sha256"] == digest
    assert request.headers["Authorization"] == f"HMAC-SHA256 Credential=id-1&Signature={expected}"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("method", b"POST"),
        ("path", b"/b/%2F"),
        ("query", b"z=1&a=%20&a&a=1"),
        ("query_sorted", b"a&a=%20&a=1&z=1"),
        ("target", b"/b/%2F?z=1&a=%20&a&a=1"),
        ("host", b"api.example.com"),
        ("url", b"https://api.example.com/b/%2F?z=1&a=%20&a&a=1"),
        ("header.content-type", b"text/plain"),
        ("header.absent", b""),
        ("body", b"\xff\x00"),
        ("body_md5_hex", b"e0e8bfafbb0689563b2fba789c97b3cc"),
        ("body_sha512_base64", b64encode(hashlib.sha512(b"\xff\x00").digest())),
        ("nonce", b"n0nce"),
        ("uuid", b"u-u-i-d"),
    ],
)
def test_a_part_of_the_request_is_signed_as_it_travels(place: str, value: bytes) -> None:
    url = "https://api.example.com/b/%2F?z=1&a=%20&a&a=1"
    request = a_request("POST", url, headers={"Content-Type": "text/plain"}, data=b"\xff\x00")
    found = signed({"string": f"<{{{{ {place} }}}}>"}, request).headers["X-Signature"]
    assert found == hmac.new(b"key", b"<" + value + b">", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("hex", "fbff3e"), ("base64", "+/8+"), ("base64url", "-_8-"), ("base64url_unpadded", "-_8-")],
)
def test_a_signature_is_written_as_the_service_wants_it(encoding: Any, text: str) -> None:
    assert write_signature(b"\xfb\xff\x3e", encoding) == text


def test_padding_may_be_left_away() -> None:
    assert write_signature(b"\xfb", "base64url") == "-w=="
    assert write_signature(b"\xfb", "base64url_unpadded") == "-w"


@pytest.mark.parametrize(
    ("encoding", "key"),
    [("hex", "6b6579"), ("base64", "a2V5"), ("base64url", "a2V5"), ("text", "key")],
)
def test_a_key_is_read_as_it_is_written(encoding: str, key: str) -> None:
    plain = signed({}, a_request(data=b"x")).headers["X-Signature"]
    assert (
        signed({"key_encoding": encoding, "key": key}, a_request(data=b"x")).headers["X-Signature"] == plain
    )


def test_a_signature_in_the_query_is_encoded() -> None:
    request = signed(
        {"encoding": "base64", "headers": {}, "query": {"sig": "{{ signature }}"}, "key": "Jefe"},
        a_request("POST", "https://api.example.com/", data=b"what do ya want for nothing?"),
    )
    assert request.url == ("https://api.example.com/?sig=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM%3D")


def test_the_key_and_the_named_secrets_must_not_come_back() -> None:
    auth = {**AUTH, "string": "{{ salt }}", "secrets": {"salt": "s4lt"}}
    assert sorted(traces(auth)) == ["key", "s4lt"]


@pytest.mark.parametrize(
    ("more", "path", "text"),
    [
        ({"string": "{{ nothing }}"}, "auth.string", "unknown"),
        ({"string": "constant"}, "auth.string", "no place"),
        ({"string": "{{ body"}, "auth.string", "no place"),
        ({"string": "{{ signature }}"}, "auth.string", "unknown"),
        ({"string": ""}, "auth.string", "at least 1"),
        ({"headers": {"X-Time": "{{ timestamp }}"}}, "auth.headers", "{{ signature }}"),
        ({"headers": {"X-Sig": "{{ signature }}{{ body }}"}}, "auth.headers.X-Sig", "unknown"),
        ({"headers": {"X-Sig": "{{ signature }}", "X-Key": "{{ key_id }}"}}, "auth.key_id", "is required"),
        ({"headers": {}}, "auth.headers", "must name"),
        ({"headers": {"Connection": "{{ signature }}"}}, "auth.headers.Connection", "the hub alone"),
        ({"key_encoding": "hex", "key": "xyz"}, "auth.key", "is not hex"),
        ({"key_encoding": "base64", "key": "a-_b"}, "auth.key", "is not base64"),
        ({"key_encoding": "base64url", "key": "a!b"}, "auth.key", "is not base64url"),
        ({"algorithm": "md5"}, "auth.algorithm", "should be"),
        ({"secrets": {"path": "x"}, "string": "{{ path }}"}, "auth.secrets.path", "choose another"),
        ({"secrets": {"salt": "x"}}, "auth.secrets.salt", "no template uses it"),
    ],
    ids=str,
)
def test_a_description_that_makes_no_sense_is_refused(more: dict[str, Any], path: str, text: str) -> None:
    assert text in faults({**AUTH, **more})[path]


def test_a_key_never_stands_in_a_fault() -> None:
    found = faults({**AUTH, "key_encoding": "hex", "key": "s3cret-in-a-fault"})
    assert "s3cret-in-a-fault" not in str(found)
