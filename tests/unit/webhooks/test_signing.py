from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import nacl.exceptions
import nacl.signing
import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.webhooks.signing import (
    PREFIX,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    Signer,
    decode_private_key,
    decode_public_key,
    decode_secret,
    jwk_of,
    new_keypair,
    new_secret,
    public_key_of,
    sign,
)

# Test vector of the Standard Webhooks specification 1.0.0 (github.com/standard-webhooks/standard-webhooks, spec/
# and the test suites of its libraries).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PRIVATE_SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

OTHER = PREFIX + base64.b64encode(bytes(range(32))).decode()


def key(text: str) -> bytes:
    return decode_secret(Secret(text))


def test_the_specifications_vector() -> None:
    assert sign([key(SECRET)], ID, STAMP, BODY) == SIGNATURE


def test_the_specifications_vectors_by_a_prepared_signer() -> None:
    signer = Signer([key(SECRET)], [decode_private_key(Secret(PRIVATE))])
    assert signer.value(ID, STAMP, BODY) == f"{SIGNATURE} {PRIVATE_SIGNATURE}"
    # The kept states are not used up.
    assert signer.value(ID, STAMP, BODY) == f"{SIGNATURE} {PRIVATE_SIGNATURE}"


@given(
    st.lists(st.binary(min_size=1, max_size=150), max_size=3),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.integers(0, 2**40),
    st.binary(max_size=3000),
)
def test_a_prepared_signer_signs_as_sign_does(keys: list[bytes], name: str, stamp: int, body: bytes) -> None:
    # Keys of 64 and more bytes too: longer than a block of SHA-256.
    assert Signer(keys).value(name, stamp, body) == sign(keys, name, stamp, body)


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
        "webhook-signature": Signer(
            [key(text) for text in keys], [decode_private_key(Secret(PRIVATE))]
        ).value(ID, stamp, body),
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
        # Stray bits in the last character, which strict decoders refuse; URL-safe base64.
        PREFIX + base64.b64encode(bytes(25)).decode().replace("AA==", "AB=="),
        PREFIX + base64.urlsafe_b64encode(b"\xff" * 24).decode(),
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


PUBLIC = public_key_of(decode_private_key(Secret(PRIVATE)))


@given(st.binary(max_size=2000))
def test_what_a_private_key_signs_verifies_by_two_libraries(body: bytes) -> None:
    value = Signer([], [decode_private_key(Secret(PRIVATE))]).value(ID, STAMP, body)
    assert value.startswith("v1a,")
    signature = base64.b64decode(value.removeprefix("v1a,"))
    message = f"{ID}.{STAMP}.".encode() + body
    decode_public_key(PUBLIC).verify(signature, message)
    judge = nacl.signing.VerifyKey(base64.b64decode(PUBLIC.removeprefix(PUBLIC_PREFIX)))
    judge.verify(message, signature)
    with pytest.raises(nacl.exceptions.BadSignatureError):
        judge.verify(message + b"x", signature)


def test_a_new_key_pair_belongs_together() -> None:
    private, public = new_keypair()
    assert public_key_of(decode_private_key(private)) == public
    assert len(base64.b64decode(private.reveal().removeprefix(PRIVATE_PREFIX))) == 64
    assert new_keypair()[1] != public
    assert new_keypair(lambda count: b"\1" * count) == new_keypair(lambda count: b"\1" * count)


def printed(prefix: str, raw: bytes) -> str:
    return prefix + base64.b64encode(raw).decode()


_RAW = base64.b64decode(PRIVATE.removeprefix(PRIVATE_PREFIX))


@pytest.mark.parametrize(
    "text",
    [
        "", PRIVATE_PREFIX, PRIVATE.removeprefix(PRIVATE_PREFIX), PREFIX + PRIVATE[5:], PRIVATE + "\n",
        printed(PRIVATE_PREFIX, _RAW[:32]), printed(PRIVATE_PREFIX, _RAW + b"x"),
        printed(PRIVATE_PREFIX, _RAW[:32] + _RAW[:32]), printed(PRIVATE_PREFIX, bytes(64)),
    ],
)  # fmt: skip
def test_what_is_no_private_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_private_key(Secret(text), field="security.private_key")
    assert [fault.path for fault in caught.value.fields] == ["security.private_key"]
    assert len(text) < 6 or text.strip() not in str(caught.value)


@pytest.mark.parametrize("text", ["", PUBLIC_PREFIX, PUBLIC[5:], PRIVATE, printed(PUBLIC_PREFIX, bytes(31))])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_public_key(text)
    assert [fault.path for fault in caught.value.fields] == ["public_key"]


def test_the_json_web_key_of_rfc_8037() -> None:
    # RFC 8037, A.1 to A.3: a key pair and its thumbprint.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    jwk = jwk_of(public_key_of(Ed25519PrivateKey.from_private_bytes(seed)))
    assert jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }


def test_a_receiver_can_verify_with_the_json_web_key() -> None:
    raw = base64.urlsafe_b64decode(jwk_of(PUBLIC)["x"] + "=")
    signature = base64.b64decode(PRIVATE_SIGNATURE.removeprefix("v1a,"))
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, f"{ID}.{STAMP}.".encode() + BODY)
