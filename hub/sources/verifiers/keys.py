"""From a secret to a key that can say whether a signature is right. Comparison takes constant time.

A loader gives None for a secret that is not a key of its kind: an empty one, or one that does not decode. An empty
secret is never a key: anybody can compute that HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hub.sources.verifiers.contract import Refused

if TYPE_CHECKING:
    from hub.core.secret import Secret

#: Is this signature right for this message?
Key = Callable[[bytes, bytes], bool]
Loader = Callable[["Secret"], Key | None]
Hash = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]
SecretEncoding = Literal["text", "hex", "base64"]

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_PEM_MARK = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----|\s")


def first_right(
    secrets: Sequence[Secret],
    ways: Sequence[tuple[Loader, Sequence[bytes]]],
    messages: Sequence[bytes],
    mismatch: str,
) -> int:
    """The index of the first secret under which one of the signatures is right.

    Args:
        secrets: all of them are tried.
        ways: loaders, each with the signatures that were sent for it.
        messages: what may have been signed.
        mismatch: what to tell a person when none is right.

    Raises:
        Refused: no secret is a key of these loaders, or none is right.
    """
    usable = False
    for index, secret in enumerate(secrets):
        for load, signatures in ways:
            if (key := load(secret)) is None:
                continue
            usable = True
            if any(key(message, signature) for message in messages for signature in signatures):
                return index
    if not usable:
        raise Refused(
            "bad_secret", "None of this source's secrets is a key of the form that this sender uses."
        )
    raise Refused("signature_mismatch", mismatch)


def decoded(text: str, encoding: Encoding) -> bytes | None:
    """The bytes behind hex or base64, or None; stricter than the standard library: no blanks, no foreign letters."""
    if encoding == "hex":
        return bytes.fromhex(text) if _HEX.fullmatch(text) else None
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None


def hmac_key(algorithm: Hash, *, encoding: SecretEncoding = "text", prefix: str = "") -> Loader:
    """HMAC with the secret.

    Args:
        algorithm: the hash.
        encoding: how the key's bytes are written in the secret.
        prefix: what the secret may begin with and is no part of the key, such as `whsec_`.
    """

    def load(secret: Secret) -> Key | None:
        text = secret.reveal().removeprefix(prefix)
        key = text.encode(errors="surrogatepass") if encoding == "text" else decoded(text, encoding)
        if not key:
            return None
        return lambda message, signature: hmac.compare_digest(hmac.digest(key, message, algorithm), signature)

    return load


def only(prefix: str, load: Loader) -> Loader:
    """The loader, for secrets that begin with `prefix` alone."""
    return lambda secret: load(secret) if secret.reveal().startswith(prefix) else None


def never(prefix: str, load: Loader) -> Loader:
    """The loader, for secrets that do not begin with `prefix`."""
    return lambda secret: None if secret.reveal().startswith(prefix) else load(secret)


def secret_first_sha256(secret: Secret) -> Key | None:
    """SHA-256 over the secret and then the message: HubSpot's first two versions. Not an HMAC."""
    key = secret.reveal().encode(errors="surrogatepass")
    if not key:
        return None
    return lambda message, signature: hmac.compare_digest(hashlib.sha256(key + message).digest(), signature)


def ed25519_key(encoding: Encoding, *, prefix: str = "") -> Loader:
    """An ed25519 public key of 32 bytes (RFC 8032)."""

    def load(secret: Secret) -> Key | None:
        text = secret.reveal()
        raw = decoded(text.removeprefix(prefix), encoding) if text.startswith(prefix) else None
        if raw is None or len(raw) != 32:
            return None
        try:
            public = Ed25519PublicKey.from_public_bytes(raw)
        except (ValueError, UnsupportedAlgorithm):
            return None

        def check(message: bytes, signature: bytes) -> bool:
            try:
                public.verify(signature, message)
            except InvalidSignature:
                return False
            return True

        return check

    return load


def ecdsa_p256_key(secret: Secret) -> Key | None:
    """An ECDSA public key on P-256 with SHA-256: base64 of its DER form, with or without the PEM lines around it."""
    raw = decoded(_PEM_MARK.sub("", secret.reveal()), "base64")
    if not raw:
        return None
    try:
        public = load_der_public_key(raw)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        return None

    def check(message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message, ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    return check
