"""Why does a signature not match? For the person who builds or mends a receiver. Pure.

Tries what usually goes wrong, one change at a time and then two: the secret in another form, the id or the time of
another header, a body that a proxy or framework wrote again. Promises: no finding holds a secret or a part of one.
Leaves to `hub.client.verify` to decide what a receiver trusts: a request that matches only after a change is broken or
forged, and counts as not verified here too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from hub.client.originals import originals_of
from hub.client.readings import (
    Finding,
    Reading,
    header_readings,
    secret_readings,
    signature_readings,
    timestamp_readings,
)
from hub.client.signatures import VerifyingKey, names_in, normalised, parse_secret, signed_message
from hub.client.verify import MAX_HEADER_CHARACTERS, MAX_SIGNATURES, VerificationFailed, unix_seconds, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hub.client.signatures import Headers

_MAX_CHANGES = 2
_OTHER_SENDERS = {
    "stripe-signature": "Stripe",
    "x-hub-signature-256": "GitHub",
    "x-slack-signature": "Slack",
    "x-shopify-hmac-sha256": "Shopify",
    "x-webhook-signature": "a plain HMAC",
}
_RAW_BODY = (
    "Verify the bytes as they came and parse them afterwards: request.get_data() in Flask, request.body in Django, "
    "await request.body() in FastAPI, express.raw() in Express; curl --data-binary, not --data."
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What became of a request, and why.

    Args:
        verified: a receiver may trust it.
        reason: why not: the `reason` of `VerificationFailed`, or `bad_secret`; None when verified.
        signature_matches: a signature is right for the request as it stands, whatever the clock says.
        findings: what is wrong, the decisive first; when verified, what is worth knowing.
    """

    verified: bool
    reason: str | None
    signature_matches: bool
    findings: tuple[Finding, ...]


def diagnose(
    body: bytes,
    headers: Headers,
    secrets: str | Sequence[str],
    *,
    tolerance_seconds: float = 300,
    now: float | None = None,
) -> Diagnosis:
    """Explain what `verify` says of the same arguments; never raises for what is in them.

    Args:
        body: the bytes of the request's body, as the receiver has them.
        headers: the request's headers.
        secrets: as the receiver has them, also malformed.
        tolerance_seconds: as for `verify`.
        now: when the request arrived, Unix seconds; the machine's clock when not given.
    """
    now = time.time() if now is None else now
    given = [secrets] if isinstance(secrets, str) else list(secrets)
    named = normalised(headers)
    try:
        done = verify(body, named, given, tolerance_seconds=tolerance_seconds, now=now)
    except VerificationFailed as failure:
        reason, detail = failure.reason, failure.detail
    except ValueError as error:
        reason, detail = "bad_secret", str(error)
    else:
        return Diagnosis(True, None, True, tuple(_notes(done.secret_index, len(given))))
    found = _search(body, named, given)
    findings = list(found or ())
    findings += _clock(named, tolerance_seconds, now)
    findings += _missing(named, findings)
    if reason == "bad_secret" and not any(finding.code.startswith("secret_") for finding in findings):
        findings.append(Finding(reason, detail, "Give it as the sender printed it."))
    elif reason == "bad_header":
        findings.append(Finding(reason, detail, "Look at what set this header: no sender writes it so."))
    elif reason == "no_known_signature" and found is None:
        findings.append(_other_version(named, given))
    if reason in {"no_match", "too_old", "too_new"} and found is None:
        findings += _unexplained(body, named)
    return Diagnosis(False, reason, found == (), tuple(findings))


def _search(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> tuple[Finding, ...] | None:
    """The fewest changes under which a signature matches; empty when it does as it stands, None when none helps."""
    signatures = _signatures(headers)
    readings = [
        reading
        for index, secret in enumerate(secrets)
        for reading in secret_readings(secret, _name_of(index, len(secrets)))
    ]
    heads = product(readings, header_readings(headers, "id"), _stamps(headers))
    attempts = sorted(
        (((key.value, head.value, stamp.value), _findings(key, head, stamp)) for key, head, stamp in heads),
        key=lambda attempt: len(attempt[1]),
    )
    for (key, webhook_id, stamp), findings in attempts:
        if len(findings) <= _MAX_CHANGES:
            matched = _match(key, signed_message(webhook_id, stamp, body), signatures)
            if matched is not None:
                return (*findings, *matched)
    for original in originals_of(body):
        for (key, webhook_id, stamp), findings in attempts:
            if len(findings) < _MAX_CHANGES:
                matched = _match(key, signed_message(webhook_id, stamp, original.body), signatures)
                if matched is not None:
                    message = f"The body was changed on its way: {original.change}."
                    return (Finding(f"body_{original.code}", message, _RAW_BODY), *findings, *matched)
    return None


def _match(
    key: VerifyingKey, message: bytes, signatures: Sequence[tuple[str, bytes, tuple[Finding, ...]]]
) -> tuple[Finding, ...] | None:
    if not key.accepts(message, [raw for _, raw, _ in signatures]):
        return None
    version, findings = next((v, f) for v, raw, f in signatures if key.accepts(message, [raw]))
    if version == key.version or any(finding.code == "signature_form" for finding in findings):
        return findings
    label = "another version" if version else "no version"
    wrong = Finding(
        "signature_version",
        f"The right {key.version} signature is there under {label}, where verifiers do not look for it.",
        f"Pass the header on as it came; a sender writes {key.version},<base64>.",
    )
    return (*findings, wrong)


def _signatures(headers: Mapping[str, str]) -> list[tuple[str, bytes, tuple[Finding, ...]]]:
    """Version, bytes and what is wrong with each signature, the proper ones first."""
    found = [
        (*signature.value, _findings(header, signature))
        for header in header_readings(headers, "signature")
        for signature in signature_readings(header.value[:MAX_HEADER_CHARACTERS])
    ]
    return sorted(found, key=lambda signature: len(signature[2]))[: 4 * MAX_SIGNATURES]


def _stamps(headers: Mapping[str, str]) -> list[Reading[str]]:
    stamps = header_readings(headers, "timestamp")
    return stamps + [reading for stamp in stamps for reading in timestamp_readings(stamp.value)]


def _findings(
    *readings: Reading[VerifyingKey] | Reading[str] | Reading[tuple[str, bytes]],
) -> tuple[Finding, ...]:
    return tuple(reading.finding for reading in readings if reading.finding is not None)


def _name_of(index: int, count: int) -> str:
    return "The secret" if count == 1 else f"Secret {index + 1}"


def _notes(secret_index: int, count: int) -> Iterator[Finding]:
    if secret_index:
        yield Finding(
            "old_secret",
            f"Signed with secret {secret_index + 1} of {count}; the first is not in use (or not any more).",
            "During a rotation this is as it should be. Afterwards remove the secrets that sign nothing.",
        )


def _clock(headers: Mapping[str, str], tolerance: float, now: float) -> Iterator[Finding]:
    stamp = headers.get(names_in(headers)["timestamp"], "")
    if not stamp:
        return
    timestamp = unix_seconds(stamp)
    if timestamp is None:
        what = (
            "is in milliseconds"
            if any(timestamp_readings(stamp))
            else "is not a whole number of Unix seconds"
        )
        yield Finding("bad_timestamp", f"The timestamp header {what}.", "Pass it on as the sender wrote it.")
        return
    off = now - timestamp
    if abs(off) > tolerance:
        yield Finding(
            "too_old" if off > 0 else "too_new",
            f"It was signed {abs(off):.0f} s {'before' if off > 0 else 'after'} the time of this check; "
            f"{tolerance:g} s are allowed.",
            "Of a request that you kept, give the time when it arrived. Otherwise a clock is wrong: set both by NTP.",
        )


def _missing(headers: Mapping[str, str], findings: Sequence[Finding]) -> Iterator[Finding]:
    missing = [name for name in names_in(headers).values() if not headers.get(name)]
    if not missing or any(finding.code == "renamed_header" for finding in findings):
        return
    others = [f"{name} ({who})" for name, who in _OTHER_SENDERS.items() if name in headers]
    yield Finding(
        "missing_header",
        f"The request has no {', no '.join(missing)} header.",
        f"It carries {', '.join(others)}: verify that one with its own library, or find what removed the others."
        if others
        else "Find what removed it: a proxy that passes known headers only, or a test request without a signature.",
    )


def _other_version(headers: Mapping[str, str], secrets: Sequence[str]) -> Finding:
    wanted = sorted({parse_secret(secret).version for secret in secrets})
    carried = {version for version, _, _ in _signatures(headers)} & {"v1", "v1a"}
    if not carried:
        return Finding(
            "no_known_signature",
            "The signature header holds no signature that can be read.",
            "Pass it on as it came: v1,<base64>, several with spaces between them.",
        )
    need = "the endpoint's public key (whpk_…)" if "v1a" in carried else "the endpoint's secret (whsec_…)"
    return Finding(
        "no_known_signature",
        f"The request carries {' and '.join(sorted(carried))}; what was given verifies {' and '.join(wanted)}.",
        f"Verify with {need}, or let the endpoint sign with {' and '.join(wanted)} too.",
    )


def _unexplained(body: bytes, headers: Mapping[str, str]) -> Iterator[Finding]:
    length = headers.get("content-length", "")
    if not body:
        yield Finding("empty_body", "The body is empty: something has read it before.", _RAW_BODY)
    elif length.isdecimal() and int(length) != len(body):
        yield Finding(
            "body_length",
            f"The request announced {length} bytes of body; {len(body)} were checked.",
            _RAW_BODY,
        )
    elif b"\xef\xbf\xbd" in body:
        yield Finding(
            "body_lossy",
            "The body holds replacement characters (U+FFFD): bytes were lost when it was read as text.",
            _RAW_BODY,
        )
    yield Finding(
        "no_match",
        "No signature matches, and no usual mistake explains it.",
        "Compare the secret with the endpoint's. If it is the same, the body has other bytes than those sent: "
        "numbers such as 10.00 or long ones change when JSON is written again.",
    )
