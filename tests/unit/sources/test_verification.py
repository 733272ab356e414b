"""Descriptions are checked to the key; whatever is received, the answer is a verdict."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.sources.verification import PROFILES, Received, Reply, Verdict, compile_verifier
from hub.webhooks.matching import check_event_type
from tests.unit.sources.vendor_requests import (
    CERTIFICATE_URL,
    CUSTOM,
    NOW,
    VENDORS,
    paypal_certificate,
    request,
)

MINIMAL: dict[str, dict[str, Any]] = {"custom": {"header": "X-Signature"}, "token": {"header": "X-Token"}}


def fault(spec: Any, field: str = "verifier") -> tuple[str, str]:
    with pytest.raises(Invalid) as caught:
        compile_verifier(spec, field=field)
    (one,) = caught.value.fields
    assert one.path in caught.value.detail
    return one.path, one.message


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_compiles_and_says_what_a_person_needs(name: str) -> None:
    compile_verifier({"profile": name, **MINIMAL.get(name, {})})
    profile = PROFILES[name]
    assert profile.title
    if profile.needs_secret:
        assert profile.credential
        assert profile.credential_help.endswith(".")
    assert profile.docs.startswith("https://") or name in {"custom", "token", "none"}


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_options_that_a_profile_names_are_those_that_it_knows(name: str) -> None:
    profile, minimal = PROFILES[name], MINIMAL.get(name, {})
    for option in profile.options:
        with pytest.raises(Invalid) as caught:
            compile_verifier({"profile": name, **minimal, option: []})
        assert caught.value.fields[0].path == f"verifier.{option}"
        assert "is not known" not in caught.value.detail
    path, message = fault({"profile": name, **minimal, "secret": "oops"})
    assert path == "verifier.secret"
    assert "is not known" in message
    for option in profile.options:
        assert f"`{option}`" in message


_WRONG: list[tuple[Any, str, str]] = [
    (None, "verifier", "must be an object"),
    ([], "verifier", "must be an object"),
    ({}, "verifier.profile", "must be one of"),
    ({"profile": "strype"}, "verifier.profile", "`stripe`"),
    ({"profile": 7}, "verifier.profile", "must be text"),
    ({"profile": "stripe", "tolerance": 3}, "verifier.tolerance", "is not known"),
    ({"profile": "stripe", "tolerance_seconds": 0}, "verifier.tolerance_seconds", "from 1 to 604800"),
    ({"profile": "stripe", "tolerance_seconds": True}, "verifier.tolerance_seconds", "whole number"),
    ({"profile": "stripe", "tolerance_seconds": 604_801}, "verifier.tolerance_seconds", "whole number"),
    ({"profile": "github", "tolerance_seconds": 10}, "verifier.tolerance_seconds", "is not known"),
    ({"profile": "standard_webhooks", "id_header": "X-Id"}, "verifier.id_header", "signs the id"),
    ({"profile": "standard_webhooks", "id_path": "id"}, "verifier.id_header", "signs the id"),
    ({"profile": "hubspot", "version": "v4"}, "verifier.version", "`v1` or `v2` or `v3`"),
    (
        {"profile": "hubspot", "version": "v1", "tolerance_seconds": 9},
        "verifier.tolerance_seconds",
        "is not known",
    ),
    ({"profile": "token"}, "verifier.header", "one of the two"),
    ({"profile": "token", "header": "a", "query": "b"}, "verifier.header", "one of the two"),
    ({"profile": "custom"}, "verifier.header", "is needed"),
    ({**CUSTOM, "header": "X Signature"}, "verifier.header", "name of a header"),
    ({**CUSTOM, "algorithm": "md5"}, "verifier.algorithm", "`sha1` or `sha256` or `sha512`"),
    ({**CUSTOM, "encoding": "base32"}, "verifier.encoding", "`hex` or `base64`"),
    ({**CUSTOM, "template": "{timestamp}"}, "verifier.template", "must have {body}"),
    ({**CUSTOM, "template": "{body}"}, "verifier.template", "must have {timestamp}"),
    ({**CUSTOM, "template": "{timestamp}{body}{nonce}"}, "verifier.template", "knows {body}"),
    ({**CUSTOM, "template": "{timestamp}{body!r}"}, "verifier.template", "knows {body}"),
    ({**CUSTOM, "template": "{timestamp}{body:>9}"}, "verifier.template", "knows {body}"),
    ({**CUSTOM, "template": "{timestamp}{body"}, "verifier.template", "is not readable"),
    ({**CUSTOM, "template": "{timestamp}{body.x}"}, "verifier.template", "knows {body}"),
    ({**CUSTOM, "template": "{timestamp}{id}{body}"}, "verifier.id_header", "is needed"),
    (
        {**CUSTOM, "timestamp_header": None, "tolerance_seconds": None},
        "verifier.timestamp_header",
        "is needed",
    ),
    ({**CUSTOM, "timestamp_prefix": "t="}, "verifier.timestamp_header", "one of the three"),
    ({**CUSTOM, "timestamp_format": "minutes"}, "verifier.timestamp_format", "`iso8601`"),
    ({**CUSTOM, "separator": ", "}, "verifier.separator", "1 to 1"),
    ({**CUSTOM, "secret_encoding": "rot13"}, "verifier.secret_encoding", "`text`"),
    ({**CUSTOM, "id_path": "a..b"}, "verifier.id_path", "place in the body"),
    ({**CUSTOM, "type_path": ".".join("abcdefghijk")}, "verifier.type_path", "ten words"),
    ({**CUSTOM, "prefix": "a\nb"}, "verifier.prefix", "printable"),
    (
        {"profile": "custom", "header": "a", "tolerance_seconds": 9},
        "verifier.tolerance_seconds",
        "needs a time",
    ),
]


@pytest.mark.parametrize(
    ("spec", "path", "message"), _WRONG, ids=[f"{path} {message}" for _, path, message in _WRONG]
)
def test_a_wrong_description_is_refused_at_its_exact_place(spec: Any, path: str, message: str) -> None:
    found_path, found_message = fault(spec)
    assert found_path == path
    assert message in found_message


def test_the_place_begins_with_the_callers_field() -> None:
    assert fault({"profile": "nope"}, field="sources.3.verifier")[0] == "sources.3.verifier.profile"


def test_none_accepts_everything_and_says_so() -> None:
    verifier = compile_verifier({"profile": "none", "id_header": "X-Id", "type_path": "kind"})
    verdict = verifier.verify(request({"x-id": "7"}, b'{"kind":"a b"}'), [], NOW)
    assert (verdict.ok, verdict.reason, verdict.secret_index) == (True, "not_verified", None)
    assert "without any check" in verdict.detail
    assert (verdict.event_id, verdict.event_type) == ("7", "a.b")


def test_places_of_id_and_type_can_be_overridden() -> None:
    vendor = VENDORS["github"]
    spec = {"profile": "github", "id_header": "X-Id", "type_header": "X-GitHub-Event"}
    genuine = vendor.sign(vendor.key, NOW)
    received = replace(genuine, headers={**genuine.headers, "x-id": "own"})
    verdict = compile_verifier(spec).verify(received, [Secret(vendor.secret)], NOW)
    assert (verdict.event_id, verdict.event_type) == ("own", "issues")


def test_a_custom_sender_may_put_time_and_signatures_into_one_header() -> None:
    spec = {
        "profile": "custom",
        "header": "Stripe-Signature",
        "template": "{timestamp}.{body}",
        "prefix": "v1=",
        "separator": ",",
        "timestamp_prefix": "t=",
    }
    vendor = VENDORS["stripe"]
    verifier = compile_verifier(spec)
    assert verifier.verify(vendor.sign(vendor.key, NOW), [Secret(vendor.secret)], NOW).ok
    late = vendor.sign(vendor.key, NOW - timedelta(seconds=301))
    assert verifier.verify(late, [Secret(vendor.secret)], NOW).reason == "timestamp_too_old"


def test_a_custom_sender_may_put_the_time_into_the_signed_body() -> None:
    spec = {
        "profile": "custom",
        "header": "Linear-Signature",
        "timestamp_path": "webhookTimestamp",
        "timestamp_format": "milliseconds",
        "tolerance_seconds": 5,
    }
    vendor = VENDORS["linear"]
    verifier = compile_verifier(spec)
    assert verifier.verify(vendor.sign(vendor.key, NOW), [Secret(vendor.secret)], NOW).ok
    late = vendor.sign(vendor.key, NOW - timedelta(seconds=6))
    assert verifier.verify(late, [Secret(vendor.secret)], NOW).reason == "timestamp_too_old"


def test_gitlab_takes_no_signing_token_in_the_clear() -> None:
    secret = VENDORS["gitlab signing token"].secret
    received = request({"x-gitlab-token": secret}, b"{}")
    verdict = compile_verifier({"profile": "gitlab"}).verify(received, [Secret(secret)], NOW)
    assert verdict.reason == "token_mismatch"


def test_gitlab_with_both_tokens_set_goes_by_the_one_that_the_source_knows() -> None:
    signed, plain = VENDORS["gitlab signing token"], VENDORS["gitlab token"]
    both = signed.sign(signed.key, NOW)
    both = replace(both, headers={**both.headers, "x-gitlab-token": plain.key})
    verifier = compile_verifier({"profile": "gitlab"})
    assert verifier.verify(both, [Secret(signed.secret)], NOW).ok
    assert verifier.verify(both, [Secret(plain.secret)], NOW).ok
    changed = replace(both, body=b"{}")
    assert (
        verifier.verify(changed, [Secret(signed.secret), Secret(plain.secret)], NOW).reason
        == "signature_mismatch"
    )


def test_box_of_another_signature_version_is_refused() -> None:
    vendor = VENDORS["box"]
    genuine = vendor.sign(vendor.key, NOW)
    received = replace(genuine, headers={**genuine.headers, "box-signature-version": "2"})
    verdict = compile_verifier(vendor.spec).verify(received, [Secret(vendor.secret)], NOW)
    assert verdict.reason == "unsupported_version"


def test_hubspot_signs_the_url_with_some_escapes_undone() -> None:
    vendor = VENDORS["hubspot"]
    genuine = vendor.sign(vendor.key, NOW)
    as_called = replace(genuine, url=genuine.url.replace("/in/", "%2Fin%2f"))
    assert compile_verifier(vendor.spec).verify(as_called, [Secret(vendor.secret)], NOW).ok


@pytest.mark.parametrize("url", ["https://mycompany.com:443/a?b=c", "https://mycompany.com/a?b=c"])
def test_twilio_may_sign_the_url_with_or_without_its_port(url: str) -> None:
    """Computed with twilio 9.13.0 (PyPI): RequestValidator("12345").compute_signature("https://mycompany.com/a?b=c", {})."""
    headers = {"x-twilio-signature": "7X1pDV1q8XSLNgmCmKHPyXNkY8Q="}
    received = Received("GET", url, "b=c", headers, b"")
    assert compile_verifier({"profile": "twilio"}).verify(received, [Secret("12345")], NOW).ok


def paypal(certificate: bytes | None, url: str = CERTIFICATE_URL) -> tuple[Verdict, list[str]]:
    fetched: list[str] = []

    def certificates(asked: str) -> bytes | None:
        fetched.append(asked)
        return certificate

    vendor = VENDORS["paypal"]
    genuine = vendor.sign(vendor.key, NOW)
    received = replace(genuine, headers={**genuine.headers, "paypal-cert-url": url})
    verifier = compile_verifier({"profile": "paypal"}, certificates=certificates)
    return verifier.verify(received, [Secret(vendor.secret)], NOW), fetched


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evilpaypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1#.paypal.com",
        "https://evil.example\\.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:x/v1/notifications/certs/CERT-1",
        "https://www.paypal.com/upload/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../upload",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?redirect=x",
        "https://[::1/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
    ],
)
def test_paypal_certificates_come_from_paypal_alone(url: str) -> None:
    verdict, fetched = paypal(paypal_certificate(), url)
    assert (verdict.ok, verdict.reason) == (False, "certificate_invalid")
    assert fetched == []


def test_paypal_without_its_certificate_cannot_be_verified() -> None:
    verdict, fetched = paypal(None)
    assert (verdict.reason, fetched) == ("certificate_unavailable", [CERTIFICATE_URL])
    vendor = VENDORS["paypal"]
    offline = compile_verifier({"profile": "paypal"})
    assert (
        offline.verify(vendor.sign(vendor.key, NOW), [Secret(vendor.secret)], NOW).reason
        == "certificate_unavailable"
    )
    assert PROFILES["paypal"].needs_certificates


@pytest.mark.parametrize(
    "certificate",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        paypal_certificate("messageverificationcerts.paypal.com.evil.example"),
        paypal_certificate(valid_from=datetime(2020, 1, 1, tzinfo=UTC)),
        paypal_certificate(valid_from=NOW + timedelta(days=1)),
    ],
    ids=["empty", "garbage", "another name", "expired", "not yet valid"],
)
def test_a_certificate_that_is_not_paypals_or_not_valid_now_is_refused(certificate: bytes) -> None:
    assert paypal(certificate)[0].reason == "certificate_invalid"


# Anything at all may arrive. Headers are drawn among those that the profile looks at, so that the depths are reached.
_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            "t=1,v1=ff",
            "v1,AAAA v1a,AAAA",
            "v0=00",
            "sha256=",
            "Basic Og==",
            "1772366400",
            "9" * 16,
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "\udfff",
            "\u00b2",
        ]
    ),
)
_BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"[" * 5_000,
            b'{"a":' * 3_000,
            b"&" * 1_200,
            b'{"value":[null,{"clientState":[]}]}',
            b'{"signature":{"timestamp":{},"token":1,"signature":[]}}',
            b'{"signature":[1]}',
            b'{"event":"endpoint.url_validation","payload":[]}',
            b'{"type":[],"challenge":{}}',
            b'{"webhookTimestamp":1e999}',
            b'{"webhookTimestamp":99999999999999999999}',
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "id", "event", "value", "signature", "payload", "action"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
_SECRETS = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(["", "whsec_", "whsec_AAAA", "whpk_" + "A" * 43 + "=", "00" * 32, "\udfff"]),
    ).map(Secret),
    max_size=3,
)


@pytest.mark.parametrize("name", sorted(VENDORS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_arrives_the_answer_is_a_verdict(name: str, data: st.DataObject) -> None:
    vendor = VENDORS[name]
    verifier = compile_verifier(
        vendor.spec, certificates=lambda _: data.draw(st.none() | st.binary(max_size=20))
    )
    genuine = vendor.sign(vendor.key, NOW)
    known = st.sampled_from(
        [*genuine.headers, "content-type", "x-twilio-webhooks-signature-settings", "x-gitlab-token"]
    )
    drawn = data.draw(st.dictionaries(known, _TEXTS, max_size=6))
    received = Received(
        method=data.draw(st.sampled_from(["POST", "GET", "HEAD", "\u2603"])),
        url=data.draw(
            st.one_of(st.text(max_size=30), st.sampled_from(["https://[", "https://a:b:c/", "//x:99999999/"]))
        ),
        query=data.draw(
            st.one_of(
                st.text(max_size=30),
                st.sampled_from(["crc_token=%ff", "hub.mode=subscribe&hub.verify_token=%F0", "&" * 1_200]),
            )
        ),
        headers={**genuine.headers, **drawn} if data.draw(st.booleans()) else drawn,
        body=data.draw(_BODIES),
    )
    secrets = [*data.draw(_SECRETS), *([Secret(vendor.secret)] if data.draw(st.booleans()) else [])]
    verdict = verifier.verify(received, secrets, NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.reason
    assert verdict.detail
    if verdict.event_type is not None:
        assert check_event_type(verdict.event_type, field="type") == verdict.event_type
    reply = verifier.handshake(received, secrets, NOW)
    assert reply is None or isinstance(reply, Reply)
