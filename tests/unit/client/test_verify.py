from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from hub.client import HubClientError
from hub.client.signatures import parse_secret
from hub.client.verify import VerificationFailed, Verified, verify
from hub.core.secret import Secret
from hub.webhooks.signing import Signer, decode_private_key, decode_secret, public_key_of

# Vectors of the Standard Webhooks specification 1.0.0.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
BODY = b'{"test": 2432232314}'

PUBLIC = public_key_of(decode_private_key(Secret(PRIVATE)))
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def request(**change: Any) -> dict[str, str]:
    headers: dict[str, Any] = {"webhook-id": ID, "webhook-timestamp": str(STAMP), "webhook-signature": V1}
    headers |= {f"webhook-{name}": value for name, value in change.items()}
    return {name: value for name, value in headers.items() if value is not None}


def signed(body: bytes, *, webhook_id: str = ID, secrets: tuple[str, ...] = (SECRET,)) -> dict[str, str]:
    signer = Signer([decode_secret(Secret(secret)) for secret in secrets])
    return request(id=webhook_id, signature=signer.value(webhook_id, STAMP, body))


def check(
    headers: Any, secrets: Any = SECRET, body: bytes = BODY, *, now: float = STAMP, tolerance: float = 300
) -> Verified:
    return verify(body, headers, secrets, now=now, tolerance_seconds=tolerance)


def reason_of(*args: Any, **more: Any) -> str:
    with pytest.raises(VerificationFailed) as caught:
        check(*args, **more)
    assert isinstance(caught.value, HubClientError)
    assert str(caught.value) == caught.value.detail != ""
    return caught.value.reason


@pytest.mark.parametrize(
    ("signature", "secret"), [(V1, SECRET), (V1A, PUBLIC), (f"{V1} {V1A}", SECRET), (f"{V1} {V1A}", PUBLIC)]
)
def test_the_specifications_vectors(signature: str, secret: str) -> None:
    done = check(request(signature=signature), secret)
    assert done == Verified(ID, STAMP, {"test": 2432232314}, None, None, 0)


@given(st.binary(max_size=500), st.binary(min_size=24, max_size=64))
def test_it_accepts_what_the_independent_library_signs_and_nothing_near(body: bytes, key: bytes) -> None:
    text = body.decode("latin-1")
    secret = "whsec_" + base64.b64encode(key).decode()
    judge = standardwebhooks.Webhook(secret)
    headers = request(signature=judge.sign(ID, datetime.fromtimestamp(STAMP, UTC), text))
    assert check(headers, secret, text.encode()).id == ID
    assert reason_of(headers, secret, text.encode() + b" ") == "no_match"


def test_an_event_is_read_with_type_and_data() -> None:
    body = b'{"type":"invoice.paid","timestamp":"2026-01-31T12:00:00Z","data":{"total":10.00}}'
    done = check(signed(body), body=body)
    assert (done.type, done.data) == ("invoice.paid", {"total": 10.0})
    assert done.payload["timestamp"] == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"", None), (b"not json", None), (b"\xff", None), (b"[" * 100_000, None), (b"9" * 5000, None),
        (b'[{"type":"a"},{"type":"b"}]', [{"type": "a"}, {"type": "b"}]), (b'{"type":7}', {"type": 7}),
    ],
    ids=["empty", "text", "binary", "deep", "long number", "batch", "odd type"],
)  # fmt: skip
def test_any_body_verifies_and_what_is_no_event_has_no_type(body: bytes, payload: Any) -> None:
    done = check(signed(body), body=body)
    assert (done.payload, done.type, done.data) == (payload, None, None)


@pytest.mark.parametrize(
    "headers",
    [
        {name.upper(): value for name, value in request().items()},
        {name.encode(): value.encode() for name, value in request().items()},
        [(name.encode(), value.encode()) for name, value in request().items()],
        list(request().items()),
        {name.replace("webhook-", "Svix-"): value for name, value in request().items()},
        request() | {"svix-id": "msg_other", "svix-signature": "v1,x"},
        {name: f" {value}\t" for name, value in request().items()},
        [*request().items(), ("webhook-id", "msg_second")],
        {**request(), "x-other": None, "x-list": ["a"]},
    ],
    ids=["upper", "bytes", "asgi", "pairs", "svix", "both", "spaces", "repeated", "odd"],
)
def test_headers_come_in_many_forms(headers: Any) -> None:
    assert check(headers).id == ID


@pytest.mark.parametrize("signature", [f"v2,abc {V1}", f"v1,{'A' * 43}= {V1}", f"v1 v1, ,v1 v1,% {V1} x"])
def test_one_of_several_signatures_is_enough_and_others_are_ignored(signature: str) -> None:
    assert check(request(signature=signature)).id == ID


def test_it_says_which_secret_matched() -> None:
    assert check(request(), [OTHER, SECRET]).secret_index == 1
    assert check(request(signature=V1A), [SECRET, PUBLIC]).secret_index == 1
    both = signed(BODY, secrets=(OTHER, SECRET))
    assert check(both, [OTHER, SECRET]).secret_index == 0
    assert check(both, SECRET).secret_index == 0


@pytest.mark.parametrize("missing", ["id", "timestamp", "signature"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_header_is_told(missing: str, value: str | None) -> None:
    assert reason_of(request(**{missing: value})) == "missing_header"
    assert reason_of({}) == "missing_header"


@pytest.mark.parametrize(
    "stamp", ["now", "1614265330.0", "-1614265330", "+1614265330", "1e9", "1" * 13, "٣" * 10, "1_614_265_330"]
)
def test_a_timestamp_is_whole_seconds(stamp: str) -> None:
    assert reason_of(request(timestamp=stamp)) == "bad_timestamp"


@pytest.mark.parametrize(
    ("off", "reason"), [(301, "too_old"), (-301, "too_new"), (10**9, "too_old"), (300.5, "too_old")]
)
def test_a_clock_that_is_far_off_is_refused(off: float, reason: str) -> None:
    assert reason_of(request(), now=STAMP + off) == reason


@pytest.mark.parametrize("off", [300, -300, 0])
def test_five_minutes_are_allowed_both_ways(off: float) -> None:
    assert check(request(), now=STAMP + off).timestamp == STAMP


def test_the_tolerance_is_the_receivers_to_choose_and_the_clock_the_machines() -> None:
    assert check(request(), now=STAMP + 3600, tolerance=3600).id == ID
    assert reason_of(request(), now=STAMP + 2, tolerance=1) == "too_old"
    with pytest.raises(VerificationFailed, match="ago"):
        verify(BODY, request(), SECRET)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "msg_other"}, "no_match"),
        ({"id": "é\ud800"}, "no_match"),
        ({"timestamp": str(STAMP + 1)}, "no_match"),
        ({"timestamp": "0" + str(STAMP)}, "no_match"),
        ({"signature": "v1," + V1[3:].swapcase()}, "no_match"),
        ({"signature": "v1,"}, "no_match"),
        ({"signature": "v1a," + V1[3:]}, "no_known_signature"),
        ({"signature": V1A}, "no_known_signature"),
        ({"signature": V1[3:]}, "no_known_signature"),
        ({"signature": "é\ud800,\u2603"}, "no_known_signature"),
        ({"signature": "v1,x" * 3000}, "bad_header"),
        ({"id": "x" * 9000}, "bad_header"),
    ],
    ids=str,
)
def test_what_was_changed_is_refused(change: dict[str, str], reason: str) -> None:
    assert reason_of(request(**change)) == reason


@pytest.mark.parametrize("signature", ["v1a," + V1A[4:].swapcase(), "v1a,AAAA", "v1a," + V1[3:]])
def test_a_wrong_ed25519_signature_is_refused(signature: str) -> None:
    assert reason_of(request(signature=signature), PUBLIC) == "no_match"


def test_the_end_of_the_id_cannot_be_moved() -> None:
    # `msg_1.1614265330.5` signed as id msg_1 must not pass as id msg_1.1614265330 of another moment.
    body = f"{STAMP}.5".encode()
    headers = signed(body, webhook_id="msg_1")
    assert check(headers, body=body).id == "msg_1"
    moved = headers | {"webhook-id": f"msg_1.{STAMP}"}
    assert reason_of(moved, body=b"5") == "bad_header"


def test_an_id_with_strange_characters_does_not_pass_for_another() -> None:
    headers = signed(BODY, webhook_id="msg?1")
    assert reason_of(headers | {"webhook-id": "msg\ud8001"}) == "no_match"


def test_only_so_many_signatures_are_looked_at() -> None:
    forged = "v1," + "A" * 43 + "="
    assert check(request(signature=" ".join([forged] * 15 + [V1]))).id == ID
    assert reason_of(request(signature=" ".join([forged] * 16 + [V1]))) == "no_match"


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "starts with"), ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with"), (SECRET + "\n", "white space"),
        ("whsec_", "not base64"), ("whsec_%%%", "not base64"), ("whsec_é", "not base64"),
        (PRIVATE, "private"), ("whpk_" + SECRET[6:], "32 bytes"),
    ],
)  # fmt: skip
def test_a_malformed_secret_is_the_operators_error_and_is_not_shown(secret: str, says: str) -> None:
    for secrets in (secret, [SECRET, secret]):
        with pytest.raises(ValueError, match=says) as caught:
            check(request(), secrets)
        assert len(secret) < 9 or secret.strip()[6:] not in str(caught.value)


def test_no_secret_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="is no secret"):
        check(request(), [])


@pytest.mark.parametrize("padded", ["", "=", "=="])
def test_a_secret_may_lack_its_padding(padded: str) -> None:
    raw = bytes(32)[: {"": 24, "=": 32, "==": 31}[padded]]
    text = "whsec_" + base64.b64encode(raw).decode()
    assert text.endswith(padded)
    assert parse_secret(text.rstrip("=")) == parse_secret(text)
    assert parse_secret(text).raw == raw


def test_a_parsed_body_is_refused_with_the_reason() -> None:
    bodies: list[Any] = [BODY.decode(), json.loads(BODY), None]
    for body in bodies:
        with pytest.raises(TypeError, match="raw body"):
            verify(body, request(), SECRET, now=STAMP)
    assert check(request(), body=bytearray(BODY)).id == ID  # type: ignore[arg-type]
    assert check(request(), body=memoryview(BODY)).id == ID  # type: ignore[arg-type]


def test_a_key_in_memory_does_not_show_itself() -> None:
    assert repr(parse_secret(SECRET)) == "VerifyingKey(v1)"


def test_a_receiver_loads_nothing_else_of_the_product() -> None:
    program = (
        "import sys\nfrom hub.client.verify import verify\n"
        "verify(b'{\"test\": 2432232314}', dict(zip(['webhook-id', 'webhook-timestamp', 'webhook-signature'],"
        f" ['{ID}', '{STAMP}', '{V1}'])), '{SECRET}', now={STAMP})\n"
        "print(sorted(m for m in sys.modules if m.startswith('hub.') and not m.startswith('hub.client')),"
        " [m for m in ('cryptography', 'celery', 'requests', 'pydantic') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[] []"
