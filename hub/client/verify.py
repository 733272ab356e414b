"""What a receiver calls on each webhook: is it from the hub, whole and fresh? Standard Webhooks 1.0.0.

    from hub.client.verify import VerificationFailed, verify

    try:
        event = verify(request.get_data(), request.headers, os.environ["WEBHOOK_SECRET"])
    except VerificationFailed:
        return "", 401

Promises: nothing of an unverified request is parsed; signatures are compared in constant time; the work that a forged
request can cause is bounded. Leaves to the receiver: to pass the raw bytes of the body (JSON that was parsed and
written again has other bytes), and to remember `id`, which is the same for each repeat of a message.
`hub.client.diagnosis` says why a signature does not match.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hub.client.errors import HubClientError
from hub.client.signatures import names_in, normalised, parse_secret, parse_signatures, signed_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.client.signatures import Headers

#: Signatures of one version that are looked at; a sender amid a rotation gives up to eleven.
MAX_SIGNATURES: Final = 16
MAX_HEADER_CHARACTERS: Final = 8192

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class VerificationFailed(HubClientError):
    """The request is not to be trusted: answer 400 or 401 and do nothing.

    Args:
        reason: `missing_header`, `bad_header`, `bad_timestamp`, `too_old`, `too_new`, `no_known_signature` (none of
            a version that the secrets verify) or `no_match`.
        detail: a sentence for the log, without secrets and without text from the request.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class Verified:
    """A webhook that is from the hub.

    Args:
        id: `webhook-id`; the same for every repeat of this message.
        timestamp: when this attempt was signed, Unix seconds.
        payload: the body's JSON; None when it is none.
        type: the event's type; None when the body is no event (a batch is a list of events in `payload`).
        data: the event's data.
        secret_index: which of the given secrets matched, counted from 0.
    """

    id: str
    timestamp: int
    payload: Any
    type: str | None
    data: Any
    secret_index: int


def verify(
    body: bytes,
    headers: Headers,
    secrets: str | Sequence[str],
    *,
    tolerance_seconds: float = 300,
    now: float | None = None,
) -> Verified:
    """Check a webhook request and read it.

    Args:
        body: the exact bytes of the request's body.
        headers: the request's headers; names in any case, `webhook-*`, or Svix's `svix-*` when there is none of
            those. Of a repeated header the first counts.
        secrets: one or several `whsec_…` (HMAC) or `whpk_…` (ed25519 public key), during a rotation the new one first.
        tolerance_seconds: how far the sender's clock may be from this one, into the past and into the future.
        now: Unix seconds; the machine's clock when not given.

    Raises:
        VerificationFailed: the request is not to be trusted.
        ValueError: a secret is malformed: for the operator to mend, not the sender. The text does not repeat it.
        TypeError: the body is not bytes.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(
            f"verify() takes the request's raw body as bytes, not {type(body).__name__}: "
            "what was parsed or decoded and written again has other bytes than those signed."
        )
    body = bytes(body)
    keys = [parse_secret(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("There is no secret to verify with.")
    webhook_id, stamp, signature = _three(normalised(headers))
    timestamp = _fresh(stamp, tolerance_seconds, time.time() if now is None else now)
    signatures = parse_signatures(signature)
    if not any(key.version in signatures for key in keys):
        versions = " or ".join(sorted({key.version for key in keys}))
        raise VerificationFailed("no_known_signature", f"The request carries no {versions} signature.")
    message = signed_message(webhook_id, stamp, body)
    for index, key in enumerate(keys):
        if key.accepts(message, signatures.get(key.version, [])[:MAX_SIGNATURES]):
            return _read(webhook_id, timestamp, body, index)
    raise VerificationFailed(
        "no_match", "No signature matches: the secret is another, or bytes were changed."
    )


def _three(headers: Mapping[str, str]) -> tuple[str, str, str]:
    names = names_in(headers)
    for name in names.values():
        value = headers.get(name, "")
        if not value:
            raise VerificationFailed("missing_header", f"The request has no {name} header.")
        if len(value) > MAX_HEADER_CHARACTERS:
            raise VerificationFailed(
                "bad_header", f"{name} is longer than {MAX_HEADER_CHARACTERS} characters."
            )
    webhook_id, stamp, signature = (headers[name] for name in names.values())
    if "." in webhook_id:
        # With a dot in the id, one signed text would have two readings: where the id ends is the sender's to say.
        raise VerificationFailed("bad_header", f"{names['id']} has a dot in it.")
    return webhook_id, stamp, signature


def unix_seconds(stamp: str) -> int | None:
    """A timestamp header as a number, or None."""
    return int(stamp) if _TIMESTAMP.fullmatch(stamp) else None


def _fresh(stamp: str, tolerance: float, now: float) -> int:
    timestamp = unix_seconds(stamp)
    if timestamp is None:
        raise VerificationFailed(
            "bad_timestamp", "The timestamp header is not a whole number of Unix seconds."
        )
    if timestamp < now - tolerance:
        raise VerificationFailed(
            "too_old", f"The request was signed {now - timestamp:.0f} s ago; {tolerance:g} s are allowed."
        )
    if timestamp > now + tolerance:
        raise VerificationFailed(
            "too_new", f"The request is dated {timestamp - now:.0f} s ahead; {tolerance:g} s are allowed."
        )
    return timestamp


def _read(webhook_id: str, timestamp: int, body: bytes, secret_index: int) -> Verified:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    event = payload if isinstance(payload, dict) else {}
    kind = event.get("type")
    return Verified(
        webhook_id,
        timestamp,
        payload,
        kind if isinstance(kind, str) else None,
        event.get("data"),
        secret_index,
    )
