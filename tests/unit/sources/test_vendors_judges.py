"""The vendors' own Python libraries judge the same requests as we do, and must agree: good, changed, stale, foreign.

In the tree as development packages: stripe, slack_sdk, svix, standardwebhooks, PyNaCl (Discord's recommendation),
sendgrid, gidgethub. The libraries look at the real clock, so requests are signed around it; no test waits.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import gidgethub
import gidgethub.sansio
import nacl.exceptions
import nacl.signing
import pytest
import slack_sdk.signature
import standardwebhooks
import stripe
import svix
from sendgrid.helpers.eventwebhook import EventWebhook  # type: ignore[import-untyped]  # ships no types

from hub.core.secret import Secret
from hub.sources.verification import Received, compile_verifier
from tests.unit.sources.vendor_requests import VENDORS

Judge = Callable[[str, Received], bool]


def by_stripe(secret: str, received: Received) -> bool:
    try:
        header = received.headers["stripe-signature"]
        stripe.WebhookSignature.verify_header(received.body.decode(), header, secret, 300)
    except stripe.SignatureVerificationError:
        return False
    return True


def by_slack(secret: str, received: Received) -> bool:
    verifier = slack_sdk.signature.SignatureVerifier(secret)
    return verifier.is_valid_request(received.body, dict(received.headers))


def by_standardwebhooks(secret: str, received: Received) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(received.body, dict(received.headers))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def by_svix(secret: str, received: Received) -> bool:
    try:
        svix.Webhook(secret).verify(received.body, dict(received.headers))
    except svix.WebhookVerificationError:
        return False
    return True


def by_gidgethub(secret: str, received: Received) -> bool:
    try:
        signature = received.headers["x-hub-signature-256"]
        gidgethub.sansio.validate_event(received.body, signature=signature, secret=secret)
    except gidgethub.ValidationFailure:
        return False
    return True


def by_sendgrid(secret: str, received: Received) -> bool:
    """SendGrid's helper checks the signature and leaves the age to its caller."""
    signature = received.headers["x-twilio-email-event-webhook-signature"]
    timestamp = received.headers["x-twilio-email-event-webhook-timestamp"]
    right = EventWebhook(secret).verify_signature(received.body.decode(), signature, timestamp)
    return bool(right) and abs(datetime.now(UTC).timestamp() - int(timestamp)) <= 86_400


def by_pynacl(secret: str, received: Received) -> bool:
    """What Discord's page does with PyNaCl; it leaves the age to its caller."""
    timestamp = received.headers["x-signature-timestamp"]
    try:
        key = nacl.signing.VerifyKey(bytes.fromhex(secret))
        key.verify(timestamp.encode() + received.body, bytes.fromhex(received.headers["x-signature-ed25519"]))
    except nacl.exceptions.BadSignatureError:
        return False
    return abs(datetime.now(UTC).timestamp() - int(timestamp)) <= 300


JUDGES: dict[str, tuple[str, Judge]] = {
    "stripe": ("stripe", by_stripe),
    "slack": ("slack", by_slack),
    "standard_webhooks": ("standard_webhooks", by_standardwebhooks),
    "svix": ("svix", by_svix),
    "gitlab signing token by standardwebhooks": ("gitlab signing token", by_standardwebhooks),
    "github by gidgethub": ("github", by_gidgethub),
    "sendgrid": ("sendgrid", by_sendgrid),
    "discord by PyNaCl": ("discord", by_pynacl),
}


def agree(judge: str, received: Received, secret: str, *, expected: bool) -> None:
    name, theirs = JUDGES[judge]
    vendor = VENDORS[name]
    ours = compile_verifier(vendor.spec).verify(received, [Secret(secret)], datetime.now(UTC))
    assert theirs(secret, received) is expected
    assert ours.ok is expected, ours


@pytest.mark.parametrize("judge", sorted(JUDGES))
def test_we_agree_on_a_genuine_request(judge: str) -> None:
    vendor = VENDORS[JUDGES[judge][0]]
    agree(judge, vendor.sign(vendor.key, datetime.now(UTC)), vendor.secret, expected=True)


@pytest.mark.parametrize("judge", sorted(JUDGES))
def test_we_agree_on_a_changed_body(judge: str) -> None:
    vendor = VENDORS[JUDGES[judge][0]]
    genuine = vendor.sign(vendor.key, datetime.now(UTC))
    agree(judge, replace(genuine, body=genuine.body + b" "), vendor.secret, expected=False)


@pytest.mark.parametrize("judge", sorted(JUDGES))
def test_we_agree_on_another_secret(judge: str) -> None:
    vendor = VENDORS[JUDGES[judge][0]]
    agree(judge, vendor.sign(vendor.key, datetime.now(UTC)), vendor.wrong, expected=False)


@pytest.mark.parametrize(
    "judge", sorted(name for name in JUDGES if VENDORS[JUDGES[name][0]].tolerance is not None)
)
def test_we_agree_on_a_stale_request(judge: str) -> None:
    vendor = VENDORS[JUDGES[judge][0]]
    assert vendor.tolerance is not None
    old = datetime.now(UTC) - timedelta(seconds=vendor.tolerance + 60)
    agree(judge, vendor.sign(vendor.key, old), vendor.secret, expected=False)


def test_what_stripe_signs_passes_here_with_several_signatures_in_the_header() -> None:
    now = datetime.now(UTC)
    body = json.dumps({"id": "evt_9", "type": "charge.refunded"})
    signed = f"{int(now.timestamp())}.{body}"
    right = stripe.WebhookSignature._compute_signature(signed, "whsec_right")
    header = f"t={int(now.timestamp())},v1={'0' * 64},v0={right},v1={right}"
    received = Received("POST", "", "", {"stripe-signature": header}, body.encode())
    verdict = compile_verifier({"profile": "stripe"}).verify(received, [Secret("whsec_right")], now)
    assert (verdict.ok, verdict.event_id, verdict.event_type) == (True, "evt_9", "charge.refunded")
    only_old_scheme = replace(received, headers={"stripe-signature": f"t={int(now.timestamp())},v0={right}"})
    refused = compile_verifier({"profile": "stripe"}).verify(only_old_scheme, [Secret("whsec_right")], now)
    assert refused.reason == "malformed_header"


@pytest.mark.parametrize(("profile", "names"), [("standard_webhooks", "webhook-"), ("svix", "svix-")])
def test_what_the_libraries_sign_passes_here(profile: str, names: str) -> None:
    now = datetime.now(UTC)
    secret, old = ("whsec_" + base64.b64encode(raw * 32).decode() for raw in (b"a", b"b"))
    library = standardwebhooks.Webhook if profile == "standard_webhooks" else svix.Webhook
    body = '{"type":"user.created"}'
    signatures = " ".join(library(key).sign("msg_7", now, body) for key in (old, secret))
    headers = {
        f"{names}id": "msg_7",
        f"{names}timestamp": str(int(now.timestamp())),
        f"{names}signature": f"v9,abc {signatures}",
    }
    received = Received("POST", "", "", headers, body.encode())
    verdict = compile_verifier({"profile": profile}).verify(received, [Secret(secret), Secret(old)], now)
    assert (verdict.ok, verdict.event_id, verdict.event_type) == (True, "msg_7", "user.created")
    assert verdict.secret_index == 0
