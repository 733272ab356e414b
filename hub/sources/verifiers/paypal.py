"""PayPal: RSA over ids, a time and the CRC-32 of the body, with a certificate that PayPal serves.

Source: developer.paypal.com/api/rest/webhooks/rest, "Verify manually". The secret is the webhook's id, which is part
of what is signed. The certificate's URL comes from the sender, so only PayPal's own place for certificates is
accepted; fetching it (over TLS) and keeping it is left to the `Certificates` function.

A CRC-32 is no hash: who has seen one signed request can build another body with the same CRC. The age limit and
de-duplication bound that; nothing else can.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from hub.sources.verifiers.contract import Certificates, Received, Refused, Verdict
from hub.sources.verifiers.keys import decoded
from hub.sources.verifiers.timestamps import epoch_seconds, judge_age

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub.core.secret import Secret
    from hub.sources.verifiers.payload import Extraction

_HEADERS = (
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-cert-url",
    "paypal-auth-algo",
)
_CERTIFICATES_PATH = "/v1/notifications/certs/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayPalCheck:
    """PayPal's signature.

    Args:
        extraction: where the event's id and type are.
        tolerance: seconds that the signed time may differ from now.
        certificates: gives a certificate in PEM; without it nothing can be verified.
    """

    extraction: Extraction
    tolerance: int
    certificates: Certificates | None

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict of yes. Calls `certificates`, which may do I/O.

        Raises:
            Refused: the signature is missing, malformed, wrong or too old, or there is no certificate to check it.
        """
        values = [received.headers.get(name) or "" for name in _HEADERS]
        for name, value in zip(_HEADERS, values, strict=True):
            if not value:
                raise Refused("missing_header", f"The request has no header {name}.")
        transmission, written_time, written_signature, url, algorithm = values
        signature = decoded(written_signature.strip(), "base64")
        seconds = epoch_seconds(written_time, "iso8601")
        if not signature:
            raise Refused("malformed_header", "Header paypal-transmission-sig is no base64.")
        if seconds is None:
            raise Refused(
                "malformed_timestamp", "Header paypal-transmission-time is not in the form iso8601."
            )
        if algorithm.lower() != "sha256withrsa":
            raise Refused("unsupported_version", "Header paypal-auth-algo must be SHA256withRSA.")
        key = self._public_key(url, now)
        index = next(
            (
                position
                for position, webhook_id in enumerate(secret.reveal() for secret in secrets)
                if webhook_id
                and _is_right(
                    key, signed_message(transmission, written_time, webhook_id, received.body), signature
                )
            ),
            None,
        )
        if index is None:
            raise Refused(
                "signature_mismatch",
                "The signature is not of this webhook id and body: the secret must be the webhook's id, "
                "and the body must arrive as it was sent.",
            )
        judge_age(seconds, now, self.tolerance)
        detail = "The signature is right; it covers a CRC-32 of the body, not a hash."
        return self.extraction.accepted(received, index, detail)

    def _public_key(self, url: str, now: datetime) -> RSAPublicKey:
        if not is_certificate_url(url):
            raise Refused(
                "certificate_invalid", "Header paypal-cert-url is not PayPal's place for certificates."
            )
        pem = self.certificates(url) if self.certificates is not None else None
        if pem is None:
            raise Refused(
                "certificate_unavailable", "PayPal's certificate could not be fetched; a repeat may pass."
            )
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise Refused(
                "certificate_invalid", "What PayPal's certificate URL gave is no certificate."
            ) from None
        of_paypal = any(str(name.value).lower().endswith(".paypal.com") for name in names)
        valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        if not isinstance(key, RSAPublicKey) or not of_paypal or not valid:
            raise Refused(
                "certificate_invalid", "The certificate is not PayPal's, or is not valid at this time."
            )
        return key


def is_certificate_url(url: str) -> bool:
    """Is it https, under paypal.com, at the path where PayPal serves the certificates of webhooks?"""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = (
        len(url) <= 512 and url.isascii() and "@" not in parts.netloc and "\\" not in url and ".." not in url
    )
    at_paypal = host.endswith(".paypal.com") and port in {None, 443}
    there = parts.path.startswith(_CERTIFICATES_PATH) and not parts.query and not parts.fragment
    return plain and parts.scheme == "https" and at_paypal and there


def signed_message(transmission: str, time: str, webhook_id: str, body: bytes) -> bytes:
    """What PayPal signs: `transmission id|time|webhook id|CRC-32 of the body, decimal`."""
    return f"{transmission}|{time}|{webhook_id}|{zlib.crc32(body)}".encode(errors="replace")


def _is_right(key: RSAPublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, message, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
