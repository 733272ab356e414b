"""Every profile: a genuine request passes; a tampered, stale, early or foreign one does not, with the right reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.core.secret import Secret
from hub.sources.verification import PROFILES, Received, Verdict, compile_verifier
from tests.unit.sources.vendor_requests import NOW, VENDORS, Vendor

NAMES = sorted(VENDORS)
#: These prove who sends, not what: the body is not covered.
WITHOUT_BODY = {
    "mailgun",
    "microsoft_graph",
    "basic",
    "token in a header",
    "token in the query",
    "gitlab token",
}
TIMED = sorted(name for name in NAMES if VENDORS[name].tolerance is not None)


def judge(vendor: Vendor, received: Received, *secrets: str) -> Verdict:
    verifier = compile_verifier(vendor.spec, certificates=vendor.certificates)
    return verifier.verify(received, [Secret(secret) for secret in secrets or (vendor.secret,)], NOW)


def test_every_profile_has_a_genuine_request_here() -> None:
    assert {vendor.spec["profile"] for vendor in VENDORS.values()} == set(PROFILES) - {"none"}


@pytest.mark.parametrize("name", NAMES)
def test_a_genuine_request_passes_with_its_id_and_type(name: str) -> None:
    vendor = VENDORS[name]
    verdict = judge(vendor, vendor.sign(vendor.key, NOW))
    assert (verdict.ok, verdict.reason, verdict.secret_index) == (True, "ok", 0), verdict
    assert (verdict.event_id, verdict.event_type) == (vendor.event_id, vendor.event_type)


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_BODY))
@pytest.mark.parametrize("change", ["flipped", "longer", "shorter", "empty"])
def test_a_changed_body_is_refused(name: str, change: str) -> None:
    vendor = VENDORS[name]
    genuine = vendor.sign(vendor.key, NOW)
    body = {
        "flipped": genuine.body[:-2] + bytes([genuine.body[-2] ^ 1]) + genuine.body[-1:],
        "longer": genuine.body + b"\n",
        "shorter": genuine.body[:-1],
        "empty": b"",
    }[change]
    if name == "twilio" and change in {"longer", "shorter"}:
        body += b"9"
    verdict = judge(vendor, replace(genuine, body=body))
    assert not verdict.ok
    assert verdict.reason == "signature_mismatch"
    assert verdict.secret_index is None


@pytest.mark.parametrize("name", NAMES)
def test_another_secret_is_refused(name: str) -> None:
    vendor = VENDORS[name]
    verdict = judge(vendor, vendor.sign(vendor.key, NOW), vendor.wrong)
    assert not verdict.ok
    assert verdict.reason in {"signature_mismatch", "token_mismatch"}


@pytest.mark.parametrize("name", NAMES)
def test_every_secret_of_an_overlap_is_tried_and_the_right_one_named(name: str) -> None:
    vendor = VENDORS[name]
    genuine = vendor.sign(vendor.key, NOW)
    assert judge(vendor, genuine, vendor.wrong, vendor.secret).secret_index == 1
    assert judge(vendor, genuine, "not a key of any kind", vendor.wrong, vendor.secret).secret_index == 2
    assert judge(vendor, genuine, vendor.secret, vendor.secret).secret_index == 0


@pytest.mark.parametrize("name", TIMED)
def test_the_tolerance_holds_both_ways_and_to_the_second(name: str) -> None:
    vendor = VENDORS[name]
    assert vendor.tolerance is not None
    for away, reason in ((1, "timestamp_too_old"), (-1, "timestamp_in_future")):
        edge = NOW - timedelta(seconds=away * vendor.tolerance)
        assert judge(vendor, vendor.sign(vendor.key, edge)).ok
        verdict = judge(vendor, vendor.sign(vendor.key, edge - timedelta(seconds=away)))
        assert (verdict.ok, verdict.reason) == (False, reason)


@pytest.mark.parametrize("name", TIMED)
def test_the_tolerance_can_be_chosen(name: str) -> None:
    vendor = VENDORS[name]
    narrow = replace(vendor, spec={**vendor.spec, "tolerance_seconds": 10})
    assert judge(narrow, vendor.sign(vendor.key, NOW - timedelta(seconds=10))).ok
    assert judge(narrow, vendor.sign(vendor.key, NOW - timedelta(seconds=11))).reason == "timestamp_too_old"


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_request_is_refused_for_what_it_lacks(name: str) -> None:
    vendor = VENDORS[name]
    bare = Received("POST", "https://hub.example.com/in/src_1", "", {}, b"{}")
    assert judge(vendor, bare).reason in {"missing_header", "malformed_body"}


@pytest.mark.parametrize("name", NAMES)
def test_without_a_secret_or_with_an_empty_one_nothing_passes(name: str) -> None:
    vendor = VENDORS[name]
    verifier = compile_verifier(vendor.spec, certificates=vendor.certificates)
    assert verifier.verify(vendor.sign(vendor.key, NOW), [], NOW).reason == "no_secret"
    if vendor.key == vendor.secret and not vendor.secret.startswith("whsec_"):
        forged = vendor.sign("", NOW)
        assert not verifier.verify(forged, [Secret("")], NOW).ok


@pytest.mark.parametrize("name", NAMES)
def test_each_missing_or_garbled_header_of_the_signature_is_refused(name: str) -> None:
    vendor = VENDORS[name]
    genuine = vendor.sign(vendor.key, NOW)
    informative = {
        "content-type",
        "i-twilio-idempotency-token",
        "x-github-delivery",
        "x-github-event",
        "idempotency-key",
        "linear-delivery",
        "linear-event",
        "x-id",
        "x-shopify-webhook-id",
        "x-shopify-topic",
        "x-wc-webhook-delivery-id",
        "x-wc-webhook-topic",
        "x-zendesk-webhook-invocation-id",
        "x-docusign-signature-1",
        "box-signature-primary",
        "box-signature-version",
        "box-signature-algorithm",
        "x-hubspot-signature-version",
    }
    for header in set(genuine.headers) - informative:
        without = {key: value for key, value in genuine.headers.items() if key != header}
        assert not judge(vendor, replace(genuine, headers=without)).ok, header
        for garbage in ("", "x", "\u2603", "=" * 100, "v1=", "sha256=zz", "0" * 400):
            garbled = replace(genuine, headers={**genuine.headers, header: garbage})
            assert not judge(vendor, garbled).ok, (header, garbage)


@pytest.mark.parametrize("name", ["twilio", "square", "hubspot", "hubspot v2"])
def test_where_the_url_is_signed_another_url_is_refused(name: str) -> None:
    vendor = VENDORS[name]
    genuine = vendor.sign(vendor.key, NOW)
    assert PROFILES[vendor.spec["profile"]].needs_url
    other = replace(genuine, url=genuine.url.replace("from=vendor", "from=elsewhere"))
    assert judge(vendor, other).reason == "signature_mismatch"


@pytest.mark.parametrize("name", NAMES)
def test_no_verdict_tells_a_secret_or_an_expected_signature(name: str) -> None:
    vendor = VENDORS[name]
    genuine = vendor.sign(vendor.key, NOW)
    tampered = replace(
        genuine, body=genuine.body + b" ", headers={k: v[:-4] + "AAA=" for k, v in genuine.headers.items()}
    )
    for received in (genuine, tampered):
        verdict = judge(vendor, received)
        for hidden in (
            vendor.secret,
            vendor.key,
            *(v for k, v in genuine.headers.items() if "signature" in k and len(v) > 8),
        ):
            assert hidden not in verdict.detail
