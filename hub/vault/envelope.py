"""Envelope encryption of one secret: AES-256-GCM under its own data key, which a key-encryption key wraps.

Promises: a ciphertext opens only at the place it was sealed for (tenant, secret id, kind, field, version), so
a row copied over another row fails; a wrapped data key opens only under the key whose id it names. Changing
the key-encryption key touches the wrapped data key alone, never the ciphertext.

Pure: randomness is an argument. Leaves to others: which keys exist (`keyring`), where the parts are kept
(`store`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    #: Gives so many random bytes: `os.urandom` outside tests.
    RandomBytes = Callable[[int], bytes]

KEY_BYTES = 32
#: Random 96-bit nonces are safe for 2**32 messages under one key (NIST SP 800-38D, section 8.3). A data key
#: seals one message; a key-encryption key would have to wrap four thousand million secrets.
NONCE_BYTES = 12

_LABEL = b"hub/secret/v1"


class Undecryptable(HubError):
    """A stored secret does not open: the row was changed or moved, or this process lacks the key."""

    code = "secret_unreadable"
    title = "A stored secret cannot be read"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext belongs; it opens nowhere else.

    Args:
        tenant_id: whose it is.
        secret_id: the row's id.
        kind: what it belongs to, e.g. `integration` or `endpoint`.
        field: which of its secrets, e.g. `password`.
        version: counts replacements, so that an old ciphertext does not pass for the current one.
    """

    tenant_id: UUID
    secret_id: UUID
    kind: str
    field: str
    version: int

    def associated_data(self) -> bytes:
        """The place as bytes; each part carries its length, so that no two places look alike."""
        parts = (
            self.tenant_id.bytes,
            self.secret_id.bytes,
            self.kind.encode(),
            self.field.encode(),
            self.version.to_bytes(8),
        )
        return _LABEL + b"".join(_prefixed(part) for part in parts)


def _prefixed(part: bytes) -> bytes:
    return len(part).to_bytes(4) + part


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A key of the ring, known by a fingerprint that gives nothing away. Its repr shows the id only."""

    id: str
    cipher: AESGCM = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, key: bytes) -> KeyEncryptionKey:
        """Take 32 bytes as a key."""
        return cls(hashlib.sha256(b"hub/kek/v1\0" + key).hexdigest()[:16], AESGCM(key))


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key under a key-encryption key: nonce ‖ ciphertext ‖ tag, 60 bytes."""

    kek_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """One secret as it is stored."""

    key: WrappedKey
    nonce: bytes
    ciphertext: bytes


def seal(kek: KeyEncryptionKey, place: Place, plaintext: bytes, random_bytes: RandomBytes) -> Sealed:
    """Encrypt a secret under a fresh data key and wrap that key.

    Args:
        kek: the key that wraps.
        place: where the result will be stored.
        plaintext: the secret.
        random_bytes: a cryptographically strong source.
    """
    data_key = random_bytes(KEY_BYTES)
    nonce = random_bytes(NONCE_BYTES)
    ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, place.associated_data())
    return Sealed(_wrap(kek, place, data_key, random_bytes), nonce, ciphertext)


def open_sealed(kek: KeyEncryptionKey, place: Place, sealed: Sealed) -> bytes:
    """Decrypt a secret.

    Raises:
        Undecryptable: another key, another place, or changed bytes; which of them is not told apart.
    """
    data_key = _unwrap(kek, place, sealed.key)
    try:
        return AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, place.associated_data())
    except (InvalidTag, ValueError):
        raise _undecryptable(place) from None


def rewrap(
    old: KeyEncryptionKey, new: KeyEncryptionKey, place: Place, wrapped: WrappedKey, random_bytes: RandomBytes
) -> WrappedKey:
    """Put the data key under another key; the ciphertext stays as it is.

    Raises:
        Undecryptable: `wrapped` does not open under `old` at this place.
    """
    return _wrap(new, place, _unwrap(old, place, wrapped), random_bytes)


def _wrap(kek: KeyEncryptionKey, place: Place, data_key: bytes, random_bytes: RandomBytes) -> WrappedKey:
    nonce = random_bytes(NONCE_BYTES)
    return WrappedKey(kek.id, nonce + kek.cipher.encrypt(nonce, data_key, _wrap_data(kek.id, place)))


def _unwrap(kek: KeyEncryptionKey, place: Place, wrapped: WrappedKey) -> bytes:
    nonce, data = wrapped.data[:NONCE_BYTES], wrapped.data[NONCE_BYTES:]
    try:
        return kek.cipher.decrypt(nonce, data, _wrap_data(wrapped.kek_id, place))
    except (InvalidTag, ValueError):
        raise _undecryptable(place) from None


def _wrap_data(kek_id: str, place: Place) -> bytes:
    return place.associated_data() + _prefixed(kek_id.encode())


def _undecryptable(place: Place) -> Undecryptable:
    return Undecryptable(
        f"Secret {place.secret_id} does not open: its row was changed or copied from another place."
        " Set the secret anew, or restore the row from a backup."
    )
