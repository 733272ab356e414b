from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import pytest
import slack_sdk.signature
import stripe
import svix.webhooks

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.webhooks.profiles import Key, Profile, compile_profiles

NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
BODY = '{"type":"invoice.paid","data":{"é":"🐘"}}'.encode()
KEYS = [Key.of(Secret(NEW)), Key.of(Secret(OLD))]


def one(spec: dict[str, Any]) -> Profile:
    (profile,) = compile_profiles([spec])
    return profile


def sent(spec: dict[str, Any], keys: list[Key] = KEYS, body: bytes = BODY) -> dict[str, str]:
    """The headers of a request sent now: the vendors' libraries look at the clock."""
    return dict(one(spec).headers(keys, ID, int(time.time()), body))


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_stripes_library_accepts_each_key_of_a_rotation(secret: str) -> None:
    header = sent({"type": "stripe"})["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(BODY, header, secret, 300)


@pytest.mark.parametrize(("body", "secret"), [(BODY + b" ", NEW), (BODY, OTHER)])
def test_stripes_library_refuses_another_body_or_secret(body: bytes, secret: str) -> None:
    header = sent({"type": "stripe"})["Stripe-Signature"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body, header, secret, 300)


def test_slacks_library_accepts_the_current_key() -> None:
    headers = sent({"type": "slack"})
    assert slack_sdk.signature.SignatureVerifier(NEW).is_valid_request(BODY, headers)
    assert not slack_sdk.signature.SignatureVerifier(OLD).is_valid_request(BODY, headers)
    assert not slack_sdk.signature.SignatureVerifier(NEW).is_valid_request(BODY + b" ", headers)


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_svixs_library_accepts_each_key_of_a_rotation(secret: str) -> None:
    headers = sent({"type": "svix"})
    assert set(headers) == {"svix-id", "svix-timestamp", "svix-signature"}
    svix.webhooks.Webhook(secret).verify(BODY, headers)


@pytest.mark.parametrize(
    ("body", "secret", "change"),
    [(BODY + b" ", NEW, {}), (BODY, OTHER, {}), (BODY, NEW, {"svix-id": "msg_x"})],
    ids=["body", "secret", "id"],
)
def test_svixs_library_refuses_what_was_changed(body: bytes, secret: str, change: dict[str, str]) -> None:
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(secret).verify(body, sent({"type": "svix"}) | change)


def test_the_vector_of_githubs_documentation() -> None:
    # docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries, "Testing the webhook payload validation".
    key = Key(b"not used", b"It's a Secret to Everybody")
    assert one({"type": "github"}).headers([key], ID, 1, b"Hello, World!") == [
        ("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
    ]


def test_the_vector_of_slacks_documentation() -> None:
    # docs.slack.dev/authentication/verifying-requests-from-slack
    key = Key(b"not used", b"8f742231b10e8888abcd99yyyzzz85a5")
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert one({"type": "slack"}).headers([key], ID, 1531420618, body) == [
        ("X-Slack-Request-Timestamp", "1531420618"),
        ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ]


def test_shopifys_form_is_base64_of_the_hmac_of_the_body() -> None:
    # As the receivers of shopify.dev compute it: the secret's text, the raw body.
    expected = base64.b64encode(hmac.new(NEW.encode(), BODY, hashlib.sha256).digest()).decode()
    assert sent({"type": "shopify"}) == {"X-Shopify-Hmac-SHA256": expected}


def test_a_plain_hmac_is_hex_of_the_body_in_the_plans_header() -> None:
    expected = hmac.new(NEW.encode(), BODY, hashlib.sha256).hexdigest()
    assert sent({"type": "hmac"}) == {"X-Webhook-Signature": expected}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("secret", ["text", "decoded"])
def test_a_plain_hmac_takes_its_options(algorithm: str, secret: str) -> None:
    spec = {
        "type": "hmac", "header": "X-My-Signature", "algorithm": algorithm, "encoding": "base64",
        "prefix": "sig {0}=", "secret": secret,
    }  # fmt: skip
    key = NEW.encode() if secret == "text" else base64.b64decode(NEW.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, BODY, algorithm).digest()).decode()
    assert sent(spec) == {"X-My-Signature": "sig {0}=" + expected}


@pytest.mark.parametrize("kind", ["stripe", "github", "slack", "shopify", "svix", "hmac"])
@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"{id}"], ids=["empty", "binary", "braces"])
def test_any_body_is_signed_and_the_names_are_told(kind: str, body: bytes) -> None:
    profile = one({"type": kind})
    headers = profile.headers(KEYS, ID, 1, body)
    assert tuple(name for name, _ in headers) == profile.header_names
    assert all(value.isascii() and value.isprintable() and value for _, value in headers)


def test_profiles_keep_their_order_and_may_be_none() -> None:
    assert compile_profiles(None) == compile_profiles([]) == ()
    made = compile_profiles([{"type": "svix"}, {"type": "hmac"}, {"type": "hmac", "header": "X-Two"}])
    assert [profile.header for profile in made] == ["svix-signature", "X-Webhook-Signature", "X-Two"]


@pytest.mark.parametrize(
    ("specs", "places"),
    [
        ("stripe", [""]),
        ({"type": "stripe"}, [""]),
        ([{"type": "hmac", "header": f"X-{n}"} for n in range(9)], [""]),
        (["stripe"], [".0"]),
        ([{}], [".0.type"]),
        ([{"type": "paypal"}], [".0.type"]),
        ([{"type": ["stripe"]}], [".0.type"]),
        ([{"type": "stripe", "header": "X-A"}], [".0.header"]),
        ([{"type": "hmac", "algo": "sha256", "a b": 1}], [".0.algo", ".0.?"]),
        ([{"type": "hmac", "algorithm": "md5"}], [".0.algorithm"]),
        ([{"type": "hmac", "algorithm": None, "encoding": ["hex"]}], [".0.algorithm", ".0.encoding"]),
        ([{"type": "hmac", "secret": "raw"}], [".0.secret"]),
        ([{"type": "hmac", "prefix": "a\r\nHost: b"}], [".0.prefix"]),
        ([{"type": "hmac", "prefix": " a"}], [".0.prefix"]),
        ([{"type": "hmac", "prefix": "x" * 65}], [".0.prefix"]),
        ([{"type": "hmac", "prefix": 1}], [".0.prefix"]),
        ([{"type": "stripe"}, {"type": "stripe"}], [".1"]),
        ([{"type": "github"}, {"type": "hmac", "header": "x-hub-signature-256"}], [".1"]),
        (
            [{"type": "stripe"}, {"type": "nope"}, {"type": "hmac", "header": "Host"}],
            [".1.type", ".2.header"],
        ),
    ],
    ids=str,
)
def test_a_fault_is_told_with_its_place(specs: Any, places: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        compile_profiles(specs, field="security.signature_profiles")
    assert [f.path for f in caught.value.fields] == [
        f"security.signature_profiles{place}" for place in places
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Content-Type", "Content-Digest", "Transfer-Encoding", "connection", "TE", "Upgrade",
        "Trailer", "webhook-signature", "Webhook-Other", "Authorization", "Proxy-Authorization", "Cookie", "User-Agent",
        "X A", "X:A", "X-A\r\n", "", "Ä", "x" * 101, 7, None,
    ],
)  # fmt: skip
def test_a_header_with_another_meaning_is_refused(name: Any) -> None:
    with pytest.raises(Invalid) as caught:
        compile_profiles([{"type": "hmac", "header": name}])
    assert [f.path for f in caught.value.fields] == ["signature_profiles.0.header"]


def test_a_key_does_not_show_itself() -> None:
    assert f"{KEYS} {KEYS[0]}" == "[Key(***), Key(***)] Key(***)"
