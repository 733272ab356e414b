"""The parts of a signed request: headers, signatures, secrets, the signed bytes (Standard Webhooks 1.0.0). Pure.

Shared by `verify`, which decides, and `diagnosis`, which explains.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Headers as frameworks give them: a mapping, or pairs (ASGI); text or bytes.
Headers: TypeAlias = "Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str | bytes, str | bytes]]"

PARTS: Final = ("id", "timestamp", "signature")
_PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A secret in usable form; never shown.

    Args:
        version: of the signatures that it verifies, `v1` or `v1a`.
        raw: the HMAC key, or the ed25519 public key.
    """

    version: str
    raw: bytes

    def accepts(self, message: bytes, signatures: Iterable[bytes]) -> bool:
        """Whether one of the signatures is this key's over the message, each compared in constant time.

        Args:
            message: `id.timestamp.body`.
            signatures: decoded signatures of this key's version.
        """
        if self.version == "v1":
            expected = hmac.digest(self.raw, message, "sha256")
            return any(hmac.compare_digest(expected, signature) for signature in signatures)
        return any(_accepts_ed25519(self.raw, message, signature) for signature in signatures)

    def __repr__(self) -> str:
        return f"VerifyingKey({self.version})"


def parse_secret(secret: str) -> VerifyingKey:
    """Read a printed secret, `whsec_…` or `whpk_…`; base64 with or without padding, as senders print both.

    Raises:
        ValueError: it is none; says what is wrong without repeating it.
    """
    if secret != secret.strip():
        raise ValueError("The webhook secret has white space around it.")
    prefix, _, encoded = secret.partition("_")
    if prefix == "whsk":
        raise ValueError("whsk_ is the sender's private key: a receiver verifies with the public whpk_ key.")
    if prefix not in {"whsec", "whpk"}:
        raise ValueError("A webhook secret starts with whsec_ (a public key with whpk_); this one does not.")
    raw = from_base64(encoded)
    if not raw:
        raise ValueError(f"What follows {prefix}_ in the webhook secret is not base64.")
    if prefix == "whsec":
        return VerifyingKey("v1", raw)
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise ValueError(f"A whpk_ key holds {_PUBLIC_KEY_BYTES} bytes, this one {len(raw)}.")
    return VerifyingKey("v1a", raw)


def normalised(headers: Headers) -> dict[str, str]:
    """Headers as text, by lower-case name; of a repeated one the first. What is neither text nor bytes is left out."""
    found: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        # HTTP libraries read header bytes as Latin-1 (RFC 9112, 5.5 leaves no better one): nothing fails to decode.
        key = name.decode("latin-1") if isinstance(name, bytes) else name
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(key, str) and isinstance(text, str):
            found.setdefault(key.strip().lower(), text.strip())
    return found


def names_in(headers: Mapping[str, str]) -> dict[str, str]:
    """Which header each part is read from: `webhook-*`, or `svix-*` when a request has none of those.

    Args:
        headers: by lower-case name.
    """
    found = [prefix for prefix in ("webhook", "svix") if any(f"{prefix}-{part}" in headers for part in PARTS)]
    return {part: f"{(found or ['webhook'])[0]}-{part}" for part in PARTS}


def parse_signatures(header: str) -> dict[str, list[bytes]]:
    """The decoded signatures of a `webhook-signature`, by version; what is malformed is left out."""
    found: dict[str, list[bytes]] = {}
    for item in header.split():
        version, _, encoded = item.partition(",")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        found.setdefault(version, []).append(signature)
    return found


def signed_message(webhook_id: str, stamp: str, body: bytes) -> bytes:
    """The bytes that are signed."""
    # Ids that differ must differ here too, also where a framework made lone surrogates of strange bytes.
    return f"{webhook_id}.{stamp}.".encode("utf-8", "surrogatepass") + body


def from_base64(text: str) -> bytes | None:
    """The bytes of base64 text with or without padding, or None."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _accepts_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    # Imported here: receivers with an HMAC secret do not load it.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True
