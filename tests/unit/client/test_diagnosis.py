from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client.diagnosis import Diagnosis, diagnose
from hub.core.secret import Secret
from hub.webhooks.signing import Signer, decode_private_key, decode_secret, new_keypair

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PRIVATE, PUBLIC = new_keypair(lambda count: bytes(range(count)))
ID, STAMP = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1_700_000_000
SENT = (
    '{"type":"invoice.paid","timestamp":"2026-01-31T12:00:00Z","data":{"z":1,"name":"Zoë/€","a":[1,{"b":2}]}}'
)


def signed(
    body: str | bytes, *secrets: str, webhook_id: str = ID, stamp: int | str = STAMP
) -> dict[str, str]:
    """The headers of a request that the hub sent."""
    given = [Secret(secret) for secret in secrets or (SECRET,)]
    private = [decode_private_key(secret) for secret in given if secret.reveal().startswith("whsk_")]
    shared = [decode_secret(secret) for secret in given if secret.reveal().startswith("whsec_")]
    raw = body.encode() if isinstance(body, str) else body
    value = Signer(shared, private).value(webhook_id, STAMP, raw)
    return {"webhook-id": webhook_id, "webhook-timestamp": str(stamp), "webhook-signature": value}


def by_key(key: bytes) -> dict[str, str]:
    """The headers of a request that somebody signed with another key."""
    digest = hmac.digest(key, f"{ID}.{STAMP}.{SENT}".encode(), "sha256")
    return signed(SENT) | {"webhook-signature": "v1," + base64.b64encode(digest).decode()}


def look(
    body: str | bytes, headers: dict[str, str], secrets: Any = SECRET, *, now: float = STAMP + 5
) -> Diagnosis:
    found = diagnose(body.encode() if isinstance(body, str) else body, headers, secrets, now=now)
    shown = f"{found}"
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        assert len(secret.strip()) < 12 or secret.strip()[6:] not in shown
    assert all(finding.message.endswith(".") and finding.remedy.endswith(".") for finding in found.findings)
    assert found.verified == (found.reason is None)
    assert found.verified or found.findings
    return found


def codes(*args: Any, **more: Any) -> list[str]:
    found = look(*args, **more)
    assert not found.verified
    return [finding.code for finding in found.findings]


def test_a_good_request_is_verified_without_a_remark() -> None:
    assert look(SENT, signed(SENT)) == Diagnosis(True, None, True, ())


def test_a_request_signed_with_an_old_secret_is_verified_with_a_remark() -> None:
    found = look(SENT, signed(SENT), [OTHER, SECRET])
    assert (found.verified, [finding.code for finding in found.findings]) == (True, ["old_secret"])
    assert "secret 2 of 2" in found.findings[0].message


PARSED = json.loads(SENT)
SPACED = json.dumps(PARSED, ensure_ascii=False)


@pytest.mark.parametrize(
    ("received", "code", "says"),
    [
        (json.dumps(PARSED, ensure_ascii=False), "body_json", "without spaces"),
        (json.dumps(PARSED, indent=2), "body_json", "without spaces"),
        (json.dumps(PARSED, separators=(",", ":")), "body_json", "without spaces"),
        (SENT.replace("/", "\\/"), "body_json", "without spaces"),
        (SENT + "\n", "body_newline", "added"),
        (SENT + "\r\n", "body_newline", "added"),
        (" \t" + SENT + "  ", "body_white_space", "added"),
        ("\ufeff" + SENT, "body_bom", "added"),
        (SENT.encode().decode("cp1252").encode(), "body_encoding", "Windows-1252"),
        (SENT.encode("cp1252"), "body_encoding", "Windows-1252"),
        (SENT.encode("utf-16"), "body_encoding", "UTF-16"),
        (json.dumps(SENT), "body_wrapped", "JSON string"),
        (base64.b64encode(SENT.encode()), "body_wrapped", "base64"),
        (str(SENT.encode()), "body_wrapped", "Python"),
        (SENT.replace('"', "%22").replace("ë", "%C3%AB").replace("€", "%E2%82%AC"), "body_wrapped", "URL"),
    ],
    ids=[
        "spaced", "indented", "escaped", "php", "newline", "crlf", "white space", "bom", "mojibake", "cp1252",
        "utf-16", "string", "base64", "repr", "url",
    ],
)  # fmt: skip
def test_it_says_what_became_of_the_hubs_bytes(received: str | bytes, code: str, says: str) -> None:
    found = look(received, signed(SENT))
    assert (found.reason, found.signature_matches) == ("no_match", False)
    assert [finding.code for finding in found.findings] == [code]
    assert says in found.findings[0].message


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (json.dumps(PARSED, ensure_ascii=False), "with a space after , and :"),
        (json.dumps(PARSED), "with \\u escapes"),
        (json.dumps(PARSED, indent=2), "indented by 2"),
        (json.dumps(PARSED, indent=4), "indented by 4"),
        (json.dumps(PARSED, sort_keys=True), "with sorted keys"),
        (json.dumps(PARSED).replace("/", "\\/"), "with \\/ escapes"),
        (
            SENT[: SENT.index('{"z"')] + json.dumps(PARSED["data"]) + "}",
            "in data only",
        ),
        (SENT + "\n", "line end"),
        (SENT + "\r\n", "CRLF"),
        ("\ufeff" + SENT, "byte order mark was removed"),
    ],
)
def test_it_finds_how_the_original_was_written(sent: str, says: str) -> None:
    received = (
        SENT if "line end" in says or "CRLF" in says or "mark" in says else json.dumps(PARSED, indent=1)
    )
    found = look(received, signed(sent))
    assert len(found.findings) == 1
    assert says in found.findings[0].message


def test_it_finds_the_hubs_order_of_keys() -> None:
    (finding,) = look(
        json.dumps({"data": 1, "timestamp": "t", "type": "a"}),
        signed('{"type":"a","timestamp":"t","data":1}'),
    ).findings
    assert (finding.code, "as type, timestamp, data" in finding.message) == ("body_json", True)


@pytest.mark.parametrize(("sent", "received"), [("a\nb\n", "a\r\nb\r\n"), ("a\r\nb\r\n", "a\nb\n")])
def test_it_finds_changed_line_ends(sent: str, received: str) -> None:
    assert codes(received, signed(sent)) == ["body_line_ends"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda c: st.lists(c) | st.dictionaries(st.text("abcé/"), c),
        max_leaves=8,
    )
)
def test_any_json_written_again_with_spaces_is_traced(value: Any) -> None:
    sent = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    received = json.dumps(value, indent=3)
    found = look(received, signed(sent))
    assert [finding.code for finding in found.findings] == ([] if received == sent else ["body_json"])


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        (SECRET + "\n", "secret_white_space"),
        (f' "{SECRET}" ', "secret_white_space"),
        (SECRET.removeprefix("whsec_"), "secret_prefix"),
        (base64.b64encode(SECRET.encode()).decode(), "secret_encoded"),
        (base64.b64encode(SECRET.encode() + b"\n").decode(), "secret_encoded"),
    ],
)
def test_it_says_that_a_secret_is_in_another_form(secret: str, code: str) -> None:
    found = look(SENT, signed(SENT), secret)
    assert found.reason == "bad_secret"
    assert [finding.code for finding in found.findings] == [code]


def test_it_says_that_a_secret_is_in_url_safe_base64() -> None:
    secret = "whsec_" + base64.b64encode(b"\xff\xef" * 16).decode()
    odd = secret.replace("/", "_").replace("+", "-")
    assert codes(SENT, signed(SENT, secret), odd) == ["secret_base64url"]


@pytest.mark.parametrize("key", [SECRET, SECRET.removeprefix("whsec_")])
def test_it_says_that_the_signer_used_the_secrets_text(key: str) -> None:
    assert codes(SENT, by_key(key.encode())) == ["secret_as_text"]


def test_it_says_that_the_signer_read_the_secret_as_hex() -> None:
    secret = "whsec_" + "ab12" * 10
    assert codes(SENT, by_key(bytes.fromhex("ab12" * 10)), secret) == ["secret_as_hex"]


def test_it_says_that_the_secret_is_the_private_key() -> None:
    assert codes(SENT, signed(SENT, PRIVATE.reveal()), PRIVATE.reveal()) == ["secret_private_key"]


@pytest.mark.parametrize("secret", ["", "nonsense", "whsec_%%", "whsk_AAAA", "whpk_AAAA", "whsec_é\ud800"])
def test_a_secret_that_is_none_is_told(secret: str) -> None:
    assert codes(SENT, signed(SENT), secret) == ["bad_secret"]
    assert codes(SENT, signed(SENT), []) == ["bad_secret"]


def test_among_several_secrets_it_names_the_wrong_one() -> None:
    (finding,) = look(SENT, signed(SENT), [OTHER, SECRET + " "]).findings
    assert (finding.code, finding.message.startswith("Secret 2 ")) == ("secret_white_space", True)


@pytest.mark.parametrize(
    ("now", "code", "says"),
    [(STAMP + 3600, "too_old", "3600 s before"), (STAMP - 400, "too_new", "400 s after")],
)
def test_a_right_signature_with_a_wrong_clock(now: float, code: str, says: str) -> None:
    found = look(SENT, signed(SENT), now=now)
    assert (found.reason, found.signature_matches) == (code, True)
    assert [finding.code for finding in found.findings] == [code]
    assert says in found.findings[0].message


def test_clock_and_body_are_both_told() -> None:
    assert codes(SENT + "\n", signed(SENT), now=STAMP + 3600) == ["body_newline", "too_old"]


@pytest.mark.parametrize("stamp", [f"{STAMP}123", f"{STAMP}.0"])
def test_a_timestamp_in_another_form(stamp: str) -> None:
    assert codes(SENT, signed(SENT, stamp=stamp)) == ["changed_timestamp", "bad_timestamp"]


def test_a_timestamp_that_is_none() -> None:
    assert "bad_timestamp" in codes(SENT, signed(SENT, stamp="yesterday"))


@pytest.mark.parametrize(
    ("part", "value"), [("id", "msg_new"), ("timestamp", str(STAMP + 1)), ("signature", "v1,AAAA")]
)
def test_a_part_that_was_set_anew_is_found_in_the_other_headers(part: str, value: str) -> None:
    headers = signed(SENT)
    both = headers | {name.replace("webhook", "svix"): text for name, text in headers.items()}
    assert codes(SENT, both | {f"webhook-{part}": value}) == [f"changed_{part}"]


@pytest.mark.parametrize("rename", ["x-webhook-{}", "HTTP_WEBHOOK_{}", "webhook_{}"])
def test_a_renamed_header_is_found(rename: str) -> None:
    headers = signed(SENT)
    headers[rename.format("id")] = headers.pop("webhook-id")
    assert codes(SENT, headers) == ["renamed_header"]


@pytest.mark.parametrize("part", ["id", "timestamp", "signature"])
def test_a_missing_header_is_named(part: str) -> None:
    headers = signed(SENT)
    del headers[f"webhook-{part}"]
    (finding,) = look(SENT, headers).findings
    assert (finding.code, f"webhook-{part}" in finding.message) == ("missing_header", True)


def test_another_senders_signature_is_named() -> None:
    (finding,) = look(SENT, {"Stripe-Signature": "t=1,v1=ab"}).findings
    assert finding.code == "missing_header"
    assert "Stripe" in finding.remedy
    assert codes(SENT, {}) == ["missing_header"]


DIGEST = base64.b64decode(signed(SENT)["webhook-signature"].removeprefix("v1,"))
IN_BASE64 = base64.b64encode(DIGEST).decode()


@pytest.mark.parametrize(
    "text",
    [
        DIGEST.hex(), f"v1,{DIGEST.hex()}", f"v1={DIGEST.hex()}", f"sha256={DIGEST.hex().upper()}", IN_BASE64,
        f"v1={IN_BASE64}", f"v1,{IN_BASE64.rstrip('=')}", f"v1,{base64.urlsafe_b64encode(DIGEST).decode()}",
    ],
)  # fmt: skip
def test_the_right_signature_in_another_form(text: str) -> None:
    assert codes(SENT, signed(SENT) | {"webhook-signature": text}) == ["signature_form"]


def test_url_safe_base64_is_told_apart_from_the_standard_one() -> None:
    # The vector is made until its signature has a character that the two alphabets differ in.
    headers = next(
        headers
        for n in range(100)
        if set("+/") & set((headers := signed(SENT, webhook_id=f"msg_{n}"))["webhook-signature"])
    )
    headers["webhook-signature"] = headers["webhook-signature"].replace("/", "_").replace("+", "-")
    assert codes(SENT, headers) == ["signature_form"]


@pytest.mark.parametrize("label", ["v2", "v1a"])
def test_the_right_signature_under_another_version(label: str) -> None:
    headers = signed(SENT)
    headers["webhook-signature"] = headers["webhook-signature"].replace("v1", label)
    assert codes(SENT, headers) == ["signature_version"]


@pytest.mark.parametrize(
    ("signer", "verifier", "says"),
    [(SECRET, PUBLIC, "carries v1;"), (PRIVATE.reveal(), SECRET, "carries v1a;")],
)
def test_signatures_of_the_other_kind_are_told(signer: str, verifier: str, says: str) -> None:
    (finding,) = look(SENT, signed(SENT, signer), verifier).findings
    assert (finding.code, says in finding.message) == ("no_known_signature", True)


def test_an_ed25519_signature_is_traced_too() -> None:
    assert look(SENT, signed(SENT, PRIVATE.reveal()), PUBLIC).verified
    assert codes(SENT + "\n", signed(SENT, PRIVATE.reveal()), PUBLIC) == ["body_newline"]
    assert codes(SENT, signed(SENT, PRIVATE.reveal()), PUBLIC + "\n") == ["secret_white_space"]


def test_two_mistakes_at_once_are_both_told() -> None:
    assert codes(SENT + "\n", signed(SENT), SECRET + "\n") == ["body_newline", "secret_white_space"]
    headers = by_key(SECRET.encode())
    headers["X-Webhook-Id"] = headers.pop("webhook-id")
    assert sorted(codes(SENT, headers)) == ["renamed_header", "secret_as_text"]


@pytest.mark.parametrize(
    ("body", "more", "code"),
    [
        ("", {}, "empty_body"), (SENT[:-9], {"Content-Length": str(len(SENT.encode()))}, "body_length"),
        (SENT.replace("ë", "\ufffd"), {}, "body_lossy"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_restored_is_told(body: str, more: dict[str, str], code: str) -> None:
    assert codes(body, signed(SENT) | more) == [code, "no_match"]


@pytest.mark.parametrize("secrets", [OTHER, [OTHER, OTHER], PUBLIC])
def test_another_secret_matches_under_no_reading(secrets: Any) -> None:
    assert codes(SENT, signed(SENT, SECRET, new_keypair(bytes)[0].reveal()), secrets) == ["no_match"]


@pytest.mark.parametrize(
    "signature", ["", "x", "v1", "v1,", ", ,", "v1,%%%", "é\ud800", "v1,x " * 5000, "x" * 100_000]
)
def test_a_strange_signature_is_told(signature: str) -> None:
    expected = {"missing_header", "no_known_signature", "bad_header", "no_match"}
    assert set(codes(SENT, signed(SENT) | {"webhook-signature": signature})) <= expected


@given(
    st.binary(max_size=80),
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "svix-id"]),
        st.text(max_size=30),
    ),
    st.lists(st.text(max_size=50), max_size=2),
)
def test_nothing_makes_it_fail(body: bytes, headers: dict[str, str], secrets: list[str]) -> None:
    assert not diagnose(body, headers, secrets, now=STAMP).verified


def test_it_looks_at_the_machines_clock() -> None:
    assert [finding.code for finding in diagnose(SENT.encode(), signed(SENT), SECRET).findings] == ["too_old"]


def test_large_bodies_are_traced() -> None:
    sent = json.dumps({"data": ["é" * 100] * 2000}, separators=(",", ":"), ensure_ascii=False)
    received = json.dumps(json.loads(sent))
    assert codes(received, signed(sent)) == ["body_json"]
