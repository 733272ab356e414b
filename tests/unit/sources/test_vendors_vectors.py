"""Requests whose signatures others computed: the vendors' pages, or the tests of their libraries.

Each case names its source. Where the source is a library of the vendor that is too big to be a development package
(twilio, hubspot-api-client, paypalrestsdk), the value was computed with it once, and the case says so.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.core.secret import Secret
from hub.sources.verification import Received, compile_verifier
from hub.sources.verifiers.paypal import signed_message

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Vector:
    """One request and the secret that verifies it at `at`, seconds since 1970."""

    spec: dict[str, Any]
    secrets: tuple[str, ...]
    headers: dict[str, str]
    body: str
    at: float = 1_700_000_000
    url: str = "https://example.com/webhook"
    method: str = "POST"
    index: int = 0
    event: tuple[str | None, str | None] = field(default=(None, None))


_TWILIO_FIELDS = (
    "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE"
)
_TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
_HUBSPOT_SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
_HUBSPOT_URL = "https://www.example.com/webhook_uri"
_BOX_BODY = (
    '{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",'
    '"source":{"id":"1234567890","type":"file","name":"Test.txt"}}'
)
_BOX_HEADERS = {
    "box-delivery-id": "f96bb54b-ee16-4fc5-aa65-8c2d9e5b546f",
    "box-delivery-timestamp": "2020-01-01T00:00:00-07:00",
    "box-signature-algorithm": "HmacSHA256",
    "box-signature-primary": "6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=",
    "box-signature-secondary": "v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo=",
    "box-signature-version": "1",
}
_BOX_TIME = datetime(2020, 1, 1, 7, 5, tzinfo=UTC).timestamp()

VECTORS: dict[str, Vector] = {
    # github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md and the libraries' tests
    "standard_webhooks v1": Vector(
        {"profile": "standard_webhooks"},
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",),
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        '{"test": 2432232314}',
        at=1_614_265_330,
        event=("msg_p5jXN8AQM9LWM0D4loKWxJek", None),
    ),
    # The same source; the public half of its `whsk_` key
    "standard_webhooks v1a": Vector(
        {"profile": "standard_webhooks"},
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="),
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        },
        '{"test": 2432232314}',
        at=1_614_265_330,
        index=1,
        event=("msg_p5jXN8AQM9LWM0D4loKWxJek", None),
    ),
    # docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, "Testing the webhook payload validation"
    "github": Vector(
        {"profile": "github"},
        ("It's a Secret to Everybody",),
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        "Hello, World!",
    ),
    # docs.slack.dev/authentication/verifying-requests-from-slack, the worked example
    "slack": Vector(
        {"profile": "slack"},
        ("8f742231b10e8888abcd99yyyzzz85a5",),
        {
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        at=1_531_420_618,
    ),
    # github.com/twilio/twilio-php and twilio-csharp, RequestValidatorTest
    "twilio form": Vector(
        {"profile": "twilio"},
        ("12345",),
        {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "content-type": FORM},
        _TWILIO_FIELDS,
        url=_TWILIO_URL,
    ),
    # github.com/twilio/twilio-php, RequestValidatorTest::testValidateWithArrayAndDuplicates
    "twilio repeated fields": Vector(
        {"profile": "twilio"},
        ("12345",),
        {"x-twilio-signature": "IK+Dwps556ElfBT0I3Rgjkr1wJU=", "content-type": FORM},
        "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
        url=_TWILIO_URL,
    ),
    # Computed with twilio 9.13.0 (PyPI), RequestValidator.compute_signature(…, "HMAC_SHA256")
    "twilio shared key": Vector(
        {"profile": "twilio"},
        ("12345",),
        {
            "x-twilio-signature": "opA1bF/e0LRjl2ZesIdEFta1k9tbHOcloxjxEYutyzA=",
            "x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
            "content-type": FORM,
        },
        "CallSid=CA1234567890ABCDE&Digits=1234",
        url=_TWILIO_URL,
    ),
    # github.com/sendgrid/sendgrid-python, test/unit/test_eventwebhook.py
    "sendgrid": Vector(
        {"profile": "sendgrid"},
        (
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
        ),
        {
            "x-twilio-email-event-webhook-signature": "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
            "x-twilio-email-event-webhook-timestamp": "1600112502",
        },
        json.dumps(
            [
                {
                    "email": "hello@world.com",
                    "event": "dropped",
                    "reason": "Bounced Address",
                    "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
                    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
                    "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
                    "timestamp": 1600112492,
                }
            ],
            separators=(",", ":"),
        )
        + "\r\n",
        at=1_600_112_502,
        event=(None, "dropped"),
    ),
    # developer.squareup.com/docs/webhooks/step3validate, the sample server and request
    "square": Vector(
        {"profile": "square"},
        ("asdf1234",),
        {"x-square-hmacsha256-signature": "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og="},
        '{"hello":"world"}',
    ),
    # legacydocs.hubspot.com/docs/faq/validating-requests-from-hubspot, and hubspot-api-php tests/Unit/Utils/SignatureTest
    "hubspot v1": Vector(
        {"profile": "hubspot", "version": "v1"},
        (_HUBSPOT_SECRET,),
        {"x-hubspot-signature": "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"},
        '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
        '"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
        '"changeFlag":"NEW","appId":54321}]',
        event=(None, "contact.creation"),
    ),
    # legacydocs.hubspot.com/docs/faq/v2-request-validation
    "hubspot v2 GET": Vector(
        {"profile": "hubspot", "version": "v2"},
        (_HUBSPOT_SECRET,),
        {
            "x-hubspot-signature": "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e",
            "x-hubspot-signature-version": "v2",
        },
        "",
        url=_HUBSPOT_URL,
        method="GET",
    ),
    # The same page
    "hubspot v2 POST": Vector(
        {"profile": "hubspot", "version": "v2"},
        (_HUBSPOT_SECRET,),
        {"x-hubspot-signature": "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900"},
        '{"example_field":"example_value"}',
        url=_HUBSPOT_URL,
    ),
    # github.com/HubSpot/hubspot-api-ruby, spec/helpers/signature_spec.rb
    "hubspot v3": Vector(
        {"profile": "hubspot"},
        (_HUBSPOT_SECRET,),
        {
            "x-hubspot-signature-v3": "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw=",
            "x-hubspot-request-timestamp": "1700000300000",
        },
        "{'example_field':'example_value'}",
        at=1_700_000_300,
        url=_HUBSPOT_URL,
    ),
    # Computed with hubspot-api-client 12.0.0 (PyPI), Signature.get_signature(…, "v3")
    "hubspot v3 by the Python library": Vector(
        {"profile": "hubspot"},
        (_HUBSPOT_SECRET,),
        {
            "x-hubspot-signature-v3": "ZEux4lGY4urKtKJ9fqGCQDJ0FasZeSunWHlJMEoU3Bg=",
            "x-hubspot-request-timestamp": "1700000300000",
        },
        '{"example_field":"example_value"}',
        at=1_700_000_300,
        url=_HUBSPOT_URL,
    ),
    # github.com/box/box-node-sdk and box-python-sdk, "Validate a webhook message"
    "box primary": Vector(
        {"profile": "box"},
        ("SamplePrimaryKey",),
        _BOX_HEADERS,
        _BOX_BODY,
        at=_BOX_TIME,
        event=(None, "FILE.UPLOADED"),
    ),
    # The same source
    "box secondary": Vector(
        {"profile": "box"},
        ("rotated away", "SampleSecondaryKey"),
        _BOX_HEADERS,
        _BOX_BODY,
        at=_BOX_TIME,
        index=1,
        event=(None, "FILE.UPLOADED"),
    ),
}


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_a_published_signature_is_right_here(name: str) -> None:
    vector = VECTORS[name]
    received = Received(
        vector.method, vector.url, vector.url.partition("?")[2], vector.headers, vector.body.encode()
    )
    now = datetime.fromtimestamp(vector.at, UTC)
    verdict = compile_verifier(vector.spec).verify(received, [Secret(text) for text in vector.secrets], now)
    assert (verdict.ok, verdict.reason, verdict.secret_index) == (True, "ok", vector.index), verdict
    assert (verdict.event_id, verdict.event_type) == vector.event


def test_twilio_with_a_body_of_json() -> None:
    """github.com/twilio/twilio-python, tests/unit/test_request_validator.py, test_validation_of_body_succeeds."""
    body = b'{"property": "value", "boolean": true}'
    query = "foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    url = f"https://mycompany.com/myapp.php?{query}"
    headers = {"x-twilio-signature": "a9nBmqA0ju/hNViExpshrM61xv4=", "content-type": "application/json"}
    verifier = compile_verifier({"profile": "twilio"})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert verifier.verify(Received("POST", url, query, headers, body), [Secret("12345")], now).ok
    changed = verifier.verify(Received("POST", url, query, headers, body + b" "), [Secret("12345")], now)
    assert changed.reason == "signature_mismatch"


def test_paypal_signs_what_its_library_says() -> None:
    """Computed with paypalrestsdk 1.13.3 (PyPI), WebhookEvent._get_expected_sig."""
    message = signed_message(
        "dfb3be50-fd74-11e4-8bf3-77339302725b",
        "2015-05-18T15:45:13Z",
        "4JH86294D6297924G",
        b'{"id":"WH-0G2756385H040842W-5Y612302CV158622M","event_type":"PAYMENT.SALE.COMPLETED"}',
    )
    assert message == b"dfb3be50-fd74-11e4-8bf3-77339302725b|2015-05-18T15:45:13Z|4JH86294D6297924G|651423484"
