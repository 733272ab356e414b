"""Handshakes: each provider's question gets its answer, and nothing else gets one."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
from nacl.signing import SigningKey

from hub.core.secret import Secret
from hub.sources.verification import PROFILES, Received, Reply, compile_verifier
from tests.unit.sources.vendor_requests import NOW, VENDORS, ed25519_public, request, seconds

SECRETS = [Secret("current"), Secret("previous")]


def greet(
    profile: str, received: Received, secrets: list[Secret] | None = None, **options: str
) -> Reply | None:
    verifier = compile_verifier({"profile": profile, **options})
    return verifier.handshake(received, SECRETS if secrets is None else secrets, NOW)


def asked(method: str, **parameters: str) -> Received:
    query = urlencode(parameters)
    return Received(method, f"https://hub.example.com/in/src_1?{query}", query, {}, b"")


def v0(names: tuple[str, str], body: bytes, key: str, when: str = seconds(NOW)) -> Received:
    signature = hmac.new(key.encode(), f"v0:{when}:".encode() + body, "sha256").hexdigest()
    return request({names[0]: f"v0={signature}", names[1]: when}, body)


SLACK = ("x-slack-signature", "x-slack-request-timestamp")
ZOOM = ("x-zm-signature", "x-zm-request-timestamp")


def test_slack_gets_its_challenge_back_when_it_is_signed() -> None:
    body = b'{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
    for key in ("current", "previous"):
        reply = greet("slack", v0(SLACK, body, key))
        assert reply is not None
        assert json.loads(reply.body) == {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
        assert (reply.status, reply.content_type) == (200, "application/json")
    assert greet("slack", v0(SLACK, body, "forged")) is None
    assert greet("slack", v0(SLACK, body, "current", seconds(NOW - timedelta(hours=1)))) is None
    assert greet("slack", request({}, body)) is None


def test_zoom_gets_the_hmac_of_its_token_under_the_secret_that_signed() -> None:
    body = b'{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}'
    for key in ("current", "previous"):
        reply = greet("zoom", v0(ZOOM, body, key))
        assert reply is not None
        expected = hmac.new(key.encode(), b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
        assert json.loads(reply.body) == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": expected}
    assert greet("zoom", v0(ZOOM, body, "forged")) is None


@pytest.mark.parametrize("token", ["v0:1:{}", "a b", "", "x" * 129, '{"event":1}', "\u00e9"])
def test_zoom_gets_no_hmac_of_what_could_be_an_event(token: str) -> None:
    body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()
    assert greet("zoom", v0(ZOOM, body, "current")) is None


def test_x_gets_the_hmac_of_its_crc_token_under_the_current_secret() -> None:
    token = "MDNkYTA0NmEtYzAxZS00YjE4LWE4MTktYzE3ZTJhMjQxNzc5"
    reply = greet("x", asked("GET", crc_token=token, nonce="n"))
    assert reply is not None
    expected = base64.b64encode(hmac.new(b"current", token.encode(), hashlib.sha256).digest()).decode()
    assert json.loads(reply.body) == {"response_token": f"sha256={expected}"}
    assert greet("x", asked("POST", crc_token=token)) is None
    assert greet("x", asked("GET", crc_token=token), []) is None
    assert greet("x", asked("GET", crc_token=token), [Secret("")]) is None


@pytest.mark.parametrize("token", ['{"for_user_id":"1"}', "a b", "x" * 129, "", "{", "\n"])
def test_the_crc_of_x_is_no_oracle_for_events(token: str) -> None:
    assert greet("x", asked("GET", crc_token=token)) is None


def test_what_the_crc_of_x_signs_never_passes_as_an_event() -> None:
    reply = greet("x", asked("GET", crc_token="abc123"))
    assert reply is not None
    signature = json.loads(reply.body)["response_token"]
    forged = request({"x-twitter-webhooks-signature": signature}, b"abc123")
    verdict = compile_verifier({"profile": "x"}).verify(forged, SECRETS, NOW)
    assert (verdict.ok, verdict.reason) == (False, "malformed_body")


def test_meta_gets_its_challenge_back_for_the_right_verify_token() -> None:
    good = asked(
        "GET", **{"hub.mode": "subscribe", "hub.verify_token": "meatyhamhock", "hub.challenge": "1158201444"}
    )
    reply = greet("meta", good, verify_token="meatyhamhock")
    assert reply is not None
    assert (reply.status, reply.body, reply.headers) == (
        200,
        b"1158201444",
        {"x-content-type-options": "nosniff"},
    )
    for wrong in ("meatyhamhoc", "MEATYHAMHOCK", "current"):
        refused = greet("meta", good, verify_token=wrong)
        assert refused is not None
        assert refused.status == 403
        assert b"1158201444" not in refused.body
    unset = greet("meta", good)
    assert unset is not None
    assert unset.status == 403
    assert greet("meta", asked("GET", foo="bar"), verify_token="meatyhamhock") is None
    assert greet("meta", replace(good, method="POST"), verify_token="meatyhamhock") is None


@pytest.mark.parametrize(
    ("profile", "method", "parameter"),
    [("dropbox", "GET", "challenge"), ("microsoft_graph", "POST", "validationToken")],
)
def test_an_echo_is_plain_text_that_no_browser_takes_for_more(
    profile: str, method: str, parameter: str
) -> None:
    words = "Validation: <b>Testing</b> reachability Request-Id: 4d7b0e7f"
    reply = greet(profile, asked(method, **{parameter: words}), [])
    assert reply is not None
    assert (reply.status, reply.body) == (200, words.encode())
    assert reply.content_type == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"
    other = "GET" if method == "POST" else "POST"
    assert greet(profile, asked(other, **{parameter: words})) is None
    for bad in ("", "x" * 1025, "a\r\nb", "\u00e9"):
        assert greet(profile, asked(method, **{parameter: bad})) is None


def test_an_echo_is_of_the_decoded_words() -> None:
    token = "a+b/c=&d%"
    query = f"validationToken={quote(token, safe='')}"
    reply = greet("microsoft_graph", Received("POST", f"https://h/?{query}", query, {}, b""))
    assert reply is not None
    assert reply.body == token.encode()


def discord_ping(body: bytes, seed: str = "11" * 32) -> Received:
    signature = SigningKey(bytes.fromhex(seed)).sign(seconds(NOW).encode() + body).signature.hex()
    return request({"x-signature-ed25519": signature, "x-signature-timestamp": seconds(NOW)}, body)


def test_discord_pings_are_answered_only_when_the_signature_is_right() -> None:
    secrets = [Secret(ed25519_public("11" * 32).hex())]
    interaction = greet("discord", discord_ping(b'{"id":"1","type":1,"token":"t","version":1}'), secrets)
    assert interaction is not None
    assert (interaction.status, json.loads(interaction.body)) == (200, {"type": 1})
    events = greet("discord", discord_ping(b'{"version":1,"application_id":"1","type":0}'), secrets)
    assert events is not None
    assert (events.status, events.body, events.content_type) == (204, b"", "application/json")
    assert greet("discord", discord_ping(b'{"type":1}', "22" * 32), secrets) is None
    assert greet("discord", request({}, b'{"type":1}'), secrets) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}',
        b'{"type":2,"data":{}}',
        b'{"type":"1"}',
        b'{"type":[]}',
        b"[]",
    ],
)
def test_discord_events_are_no_pings(body: bytes) -> None:
    assert greet("discord", discord_ping(body), [Secret(ed25519_public("11" * 32).hex())]) is None


def test_notion_is_answered_and_its_token_becomes_no_secret_by_itself() -> None:
    body = b'{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}'
    reply = greet("notion", request({}, body), [])
    assert reply is not None
    assert (reply.status, reply.body, reply.handshake) == (200, b"{}", "verification_token")
    verdict = compile_verifier({"profile": "notion"}).verify(request({}, body), [], NOW)
    assert verdict.reason == "no_secret"
    assert greet("notion", request({}, b'{"verification_token":"a","id":"n-1"}'), []) is None
    assert greet("notion", request({}, b'{"verification_token":1}'), []) is None


def test_woocommerce_probes_the_url() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    ping = greet("woocommerce", request(form, b"webhook_id=7"))
    assert ping is not None
    assert ping.status == 200
    for body in (b"webhook_id=x", b"webhook_id=7&a=1", b"", b"a=1"):
        assert greet("woocommerce", request(form, body)) is None


@pytest.mark.parametrize("name", sorted(VENDORS))
def test_a_genuine_event_is_no_handshake(name: str) -> None:
    vendor = VENDORS[name]
    verifier = compile_verifier(vendor.spec, certificates=vendor.certificates)
    assert verifier.handshake(vendor.sign(vendor.key, NOW), [Secret(vendor.secret)], NOW) is None


def test_the_profiles_name_their_handshakes() -> None:
    named = {name: profile.handshakes for name, profile in PROFILES.items() if profile.handshakes}
    assert named == {
        "slack": ("url_verification",),
        "zoom": ("endpoint.url_validation",),
        "x": ("crc",),
        "meta": ("hub.challenge",),
        "dropbox": ("challenge",),
        "microsoft_graph": ("validationToken",),
        "discord": ("ping",),
        "notion": ("verification_token",),
        "woocommerce": ("ping",),
    }


def test_a_large_event_is_not_read_in_search_of_a_handshake() -> None:
    body = b'{"verification_token":"a"%s}' % (b" " * 8_192)
    assert greet("notion", request({}, body), []) is None
