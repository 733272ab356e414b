"""Standard Webhooks 1.0.0 signatures (github.com/standard-webhooks/standard-webhooks, spec). Pure.

Signed are the bytes `id.timestamp.body`, over the exact body that is sent: `v1` with HMAC-SHA256 and a secret that
both sides know (`whsec_`), `v1a` with ed25519 (RFC 8032), a private key here (`whsk_`) and a public one (`whpk_`, or a
JWK) at the receiver. Leaves to others: which keys an endpoint has, for how long an old one still signs, where they are
kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.core.errors import FieldError, Invalid
from hub.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
_MIN_BYTES, _MAX_BYTES = 24, 64
_SEED_BYTES = 32
_BLOCK_BYTES = 64


class Signer:
    """The keys of one endpoint, made ready to sign many messages. Safe to share between threads.

    HMAC hashes the padded key before the message and again before the result (RFC 2104, 4, recommends to keep these
    two states); with both kept, a message of 300 bytes takes little more than half of the time of `sign`.
    """

    __slots__ = ("_private_keys", "_states")

    def __init__(self, hmac_keys: Sequence[bytes], private_keys: Sequence[Ed25519PrivateKey] = ()) -> None:
        """Prepare the keys.

        Args:
            hmac_keys: key bytes for `v1`, the current one first (several during a rotation).
            private_keys: keys for `v1a`, the current one first.
        """
        self._states = tuple(_states(key) for key in hmac_keys)
        self._private_keys = tuple(private_keys)

    def value(self, webhook_id: str, timestamp: int, body: bytes) -> str:
        """The value of `webhook-signature`: all `v1`, then all `v1a`, separated by spaces.

        Args:
            webhook_id: the value of `webhook-id`; without a dot.
            timestamp: the value of `webhook-timestamp`, Unix seconds.
            body: the exact bytes that are sent.
        """
        head = f"{webhook_id}.{timestamp}.".encode()
        value = ""
        for inner, outer in self._states:
            digest = inner.copy()
            digest.update(head)
            digest.update(body)
            mac = outer.copy()
            mac.update(digest.digest())
            value += " v1," + binascii.b2a_base64(mac.digest(), newline=False).decode()
        for key in self._private_keys:
            value += " v1a," + base64.b64encode(key.sign(head + body)).decode()
        return value[1:]


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` for a single message: one `v1,<base64>` for each key, separated by spaces.

    Args:
        keys: key bytes, the current one first (several during a rotation).
        webhook_id: the value of `webhook-id`; without a dot.
        timestamp: the value of `webhook-timestamp`, Unix seconds.
        body: the exact bytes that are sent.
    """
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)


def new_secret(random_bytes: Callable[[int], bytes] = os.urandom) -> Secret:
    """A signing secret of 32 random bytes in its printed form, `whsec_…`."""
    return Secret(_printed(PREFIX, random_bytes(32)))


def new_keypair(random_bytes: Callable[[int], bytes] = os.urandom) -> tuple[Secret, str]:
    """An ed25519 key pair in its printed form: the private `whsk_…`, to be kept, and the public `whpk_…`."""
    seed = random_bytes(_SEED_BYTES)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return Secret(_printed(PRIVATE_PREFIX, seed + public)), _printed(PUBLIC_PREFIX, public)


def decode_secret(secret: Secret, *, field: str = "secret") -> bytes:
    """The key bytes of a printed secret, made by the hub or brought by a publisher.

    Raises:
        Invalid: it is not `whsec_` and base64 of 24 to 64 bytes.
    """
    key = _bytes_of(secret.reveal(), PREFIX)
    if key is None or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        message = f"must be `{PREFIX}` followed by base64 of {_MIN_BYTES} to {_MAX_BYTES} bytes"
        raise Invalid(f"The signing secret {message}.", fields=(FieldError(field, message),))
    return key


def decode_private_key(secret: Secret, *, field: str = "private_key") -> Ed25519PrivateKey:
    """The ed25519 key of a printed `whsk_…`.

    Raises:
        Invalid: it is not `whsk_` and base64 of 64 bytes, the seed and the public key that belongs to it.
    """
    raw = _bytes_of(secret.reveal(), PRIVATE_PREFIX)
    if raw is not None and len(raw) == 2 * _SEED_BYTES:
        key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])
        # Whoever trusts a public half that is not the seed's own can be led to sign with two nonces of one key.
        if hmac.compare_digest(key.public_key().public_bytes_raw(), raw[_SEED_BYTES:]):
            return key
    message = (
        f"must be `{PRIVATE_PREFIX}` followed by base64 of 64 bytes: "
        "a 32-byte seed and the 32-byte public key that belongs to it"
    )
    raise Invalid(f"The signing key {message}.", fields=(FieldError(field, message),))


def public_key_of(key: Ed25519PrivateKey) -> str:
    """The printed public key, `whpk_…`, that receivers verify with."""
    return _printed(PUBLIC_PREFIX, key.public_key().public_bytes_raw())


def decode_public_key(text: str, *, field: str = "public_key") -> Ed25519PublicKey:
    """The ed25519 key of a printed `whpk_…`.

    Raises:
        Invalid: it is not `whpk_` and base64 of 32 bytes.
    """
    raw = _bytes_of(text, PUBLIC_PREFIX)
    if raw is None or len(raw) != _SEED_BYTES:
        message = f"must be `{PUBLIC_PREFIX}` followed by base64 of 32 bytes"
        raise Invalid(f"The public key {message}.", fields=(FieldError(field, message),))
    return Ed25519PublicKey.from_public_bytes(raw)


def jwk_of(public: str) -> dict[str, str]:
    """A printed public key as a JSON Web Key (RFC 8037, 2); its `kid` is its thumbprint (RFC 7638).

    Raises:
        Invalid: it is no `whpk_…`.
    """
    x = _base64url(decode_public_key(public).public_bytes_raw())
    # RFC 7638, 3.2: the required members only, in lexicographic order, without white space.
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": x,
        "kid": _base64url(thumbprint),
        "use": "sig",
        "alg": "EdDSA",
    }


def _states(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    # RFC 2104, 2: a key longer than a block is hashed, a shorter one is filled up with zeros.
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(bytes(b ^ 0x36 for b in block)), hashlib.sha256(bytes(b ^ 0x5C for b in block))


def _bytes_of(text: str, prefix: str) -> bytes | None:
    """The bytes of a printed key, or None when it is not the one canonical base64 text of any bytes."""
    encoded = text.removeprefix(prefix)
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Python drops stray bits in the last character; decoders in other languages refuse such text.
    return raw if text.startswith(prefix) and base64.b64encode(raw).decode() == encoded else None


def _printed(prefix: str, raw: bytes) -> str:
    return prefix + base64.b64encode(raw).decode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
