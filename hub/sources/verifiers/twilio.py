"""Twilio: the URL and the sorted form fields, or the URL alone with the hash of a JSON body in its query.

Source: twilio.com/docs/usage/webhooks/webhooks-security. Twilio signs the URL with or without the port, so both
spellings are tried, as its own libraries do.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

from hub.sources.verifiers.contract import Received, Refused, Verdict
from hub.sources.verifiers.keys import Hash, decoded, first_right, hmac_key
from hub.sources.verifiers.payload import Extraction, form_fields, is_form, query_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub.core.secret import Secret

HEADER = "x-twilio-signature"
#: Names the hash when a shared key signs instead of the auth token: `key=…,algorithm=HMAC_SHA256`.
SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
_HASHES: dict[str, Hash] = {f"HMAC_{name.upper()}": name for name in get_args(Hash) if name != "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioCheck:
    """Twilio's signature."""

    extraction: Extraction

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:  # noqa: ARG002
        """The verdict of yes. Twilio signs no time.

        Raises:
            Refused: the signature is missing, malformed or wrong.
        """
        written = received.headers.get(HEADER)
        if not written:
            raise Refused("missing_header", f"The request has no header {HEADER}.")
        signature = decoded(written.strip(), "base64")
        algorithm = _algorithm(received.headers.get(SETTINGS_HEADER, ""))
        if not signature or algorithm is None:
            raise Refused("malformed_header", f"Header {HEADER} is no base64, or its hash is unknown to us.")
        suffix = _signed_body(received)
        index = first_right(
            secrets,
            [(hmac_key(algorithm), [signature])],
            [url.encode(errors="replace") + suffix for url in url_forms(received.url)],
            "None of this source's secrets gives this signature: the auth token is another one, or the URL "
            "(scheme, host, port, query) is not the one that Twilio called, or the fields were changed.",
        )
        return self.extraction.accepted(received, index, "The signature is right.")


def url_forms(url: str) -> tuple[str, ...]:
    """The URL as it is, without a port, and with the port of its scheme."""
    try:
        parts = urlsplit(url)
        host, port = parts.netloc, parts.port
    except ValueError:
        return (url,)
    bare = host if port is None else host[: -len(str(port)) - 1]
    full = host if port is not None else f"{host}:{443 if parts.scheme == 'https' else 80}"
    forms = (url, *(url.replace(f"//{host}", f"//{spelling}", 1) for spelling in (bare, full)))
    return tuple(dict.fromkeys(forms))


def _algorithm(settings: str) -> Hash | None:
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return _HASHES.get(value.strip().upper())
    return "sha1"


def _signed_body(received: Received) -> bytes:
    """What is signed of the body: its sorted fields, or nothing when the URL holds its hash."""
    if is_form(received):
        fields = form_fields(received.body)
        if fields is None:
            raise Refused("malformed_body", "The body is no url-encoded form.")
        return b"".join(name + value for name, value in sorted(set(fields)))
    expected = query_value(received.query, "bodySHA256")
    if expected is None:
        if not received.body:
            return b""
        raise Refused(
            "malformed_body", "The body is no form, and the URL has no bodySHA256 that would cover it."
        )
    actual = hashlib.sha256(received.body).hexdigest()
    if not hmac.compare_digest(actual.encode(), expected.lower().encode(errors="replace")):
        raise Refused(
            "signature_mismatch", "The body was changed on the way: its SHA-256 is not the URL's bodySHA256."
        )
    return b""
