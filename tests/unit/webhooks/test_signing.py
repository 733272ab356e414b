from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.webhooks.signing import PREFIX, decode_secret, new_secret, sign

# Test vector of the Standard Webhooks specification 1.0.0 (github.com/standard-webhooks/standard-webhooks, spec/
# and the test suites of its libraries).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = PREFIX + base64.b64encode(bytes(range(32))).decode()


def key(text: str) -> bytes:
    return decode_secret(Secret(text))


def test_the_specifications_vector() -> None:
    assert sign([key(SECRET)], ID, STAMP, BODY) == SIGNATURE


def test_each_key_of_a_rotation_signs_in_order() -> None:
    both = sign([key(OTHER), key(SECRET)], ID, STAMP, BODY)
    assert both.split(" ") == [sign([key(OTHER)], ID, STAMP, BODY), SIGNATURE]


@pytest.mark.parametrize("keys", [[SECRET], [OTHER, SECRET]])
@pytest.mark.parametrize(
    "body", [b"{}", '{"é":"🐘","n":123456789012345678901234567890}'.encode(), b'{ "b" : 1,\n"a":2 }']
)
def test_independent_libraries_accept_it(keys: list[str], body: bytes) -> None:
    stamp = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": ID,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign([key(text) for text in keys], ID, stamp, body),
    }
    assert standardwebhooks.Webhook(SECRET).verify(body, headers) == json.loads(body)
    svix.webhooks.Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize(
    "change", [{"webhook-id": "msg_other"}, {"webhook-timestamp": "+1"}, {"body": b"{ }"}]
)
def test_independent_libraries_refuse_what_was_changed(change: dict[str, object]) -> None:
    stamp = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": str(change.get("webhook-id", ID)),
        "webhook-timestamp": str(stamp + ("webhook-timestamp" in change)),
        "webhook-signature": sign([key(SECRET)], ID, stamp, b"{}"),
    }
    body = change.get("body", b"{}")
    assert isinstance(body, bytes)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body, headers)
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(SECRET).verify(body, headers)


@given(st.binary(min_size=24, max_size=64))
def test_any_key_of_24_to_64_bytes_reads_back(raw: bytes) -> None:
    assert key(PREFIX + base64.b64encode(raw).decode()) == raw


@pytest.mark.parametrize(
    "text",
    [
        "", PREFIX, SECRET.removeprefix(PREFIX), "WHSEC_" + SECRET[6:], "whsk_" + SECRET[6:],
        PREFIX + base64.b64encode(b"x" * 23).decode(), PREFIX + base64.b64encode(b"x" * 65).decode(),
        PREFIX + base64.b64encode(b"x" * 32).decode().rstrip("="), PREFIX + "%" * 40, PREFIX + "é" * 40,
        SECRET + "\n", " " + SECRET, PREFIX + PREFIX + SECRET[6:],
    ],
)  # fmt: skip
def test_what_is_no_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_secret(Secret(text), field="signing")
    assert [fault.path for fault in caught.value.fields] == ["signing"]
    assert not text.strip() or text == PREFIX or text not in caught.value.detail


def test_a_new_secret_is_32_random_bytes() -> None:
    assert len(key(new_secret().reveal())) == 32
    assert new_secret() != new_secret()
    assert new_secret(lambda count: b"\1" * count).reveal() == PREFIX + base64.b64encode(b"\1" * 32).decode()
