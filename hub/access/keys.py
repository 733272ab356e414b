"""The text form of an API key: `hub_<key id>_<secret><checksum>`. Pure.

The key id is 32 hexadecimal digits, so the row is found by its primary key; the secret is 32 random bytes in
43 base-62 digits, so one SHA-256 is enough to store it safely; the checksum is a CRC-32 in 6 base-62 digits,
so a mistyped or truncated key is refused without a query. No character needs quoting, a double click selects
all of it, and secret scanners can match `hub_[0-9a-f]{32}_[0-9A-Za-z]{49}`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
import zlib
from dataclasses import dataclass
from uuid import UUID

from hub.core.errors import Unauthenticated
from hub.core.secret import Secret

SECRET_BYTES = 32

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_DIGITS = 43  # 62**43 > 2**256
_CHECKSUM_DIGITS = 6  # 62**6 > 2**32
_FORM = re.compile(
    rf"(?P<body>hub_(?P<id>[0-9a-f]{{32}})_(?P<secret>[0-9A-Za-z]{{{_SECRET_DIGITS}}}))"
    rf"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_DIGITS}}})"
)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key that is well-formed; whether it is known is for the database to say."""

    key_id: UUID
    secret: Secret


def make_key(key_id: UUID, random_bytes: bytes) -> tuple[Secret, bytes]:
    """Make a key.

    Args:
        key_id: the row's id.
        random_bytes: exactly 32 bytes from a cryptographically strong source.

    Returns:
        The text to show once, and the hash to store.
    """
    assert len(random_bytes) == SECRET_BYTES, "a shorter secret would not bear a plain SHA-256"
    secret = _base62(int.from_bytes(random_bytes), _SECRET_DIGITS)
    body = f"hub_{key_id.hex}_{secret}"
    return Secret(body + _checksum(body)), hash_secret(Secret(secret))


def parse_key(text: str) -> ParsedKey:
    """Read a key that a caller sent.

    Raises:
        Unauthenticated: it is not a key of this hub, or a character of it is wrong or missing.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise Unauthenticated(
            "This is not an API key: expected `hub_` + 32 hexadecimal digits + `_` + secret."
        )
    if _checksum(match["body"]) != match["checksum"]:
        raise Unauthenticated("The API key is mistyped or cut off: its checksum does not match.")
    return ParsedKey(UUID(hex=match["id"]), Secret(match["secret"]))


def hash_secret(secret: Secret) -> bytes:
    """The stored form of a key's secret: SHA-256, 32 bytes."""
    return hashlib.sha256(secret.reveal().encode()).digest()


def secret_matches(secret: Secret, stored_hash: bytes) -> bool:
    """Whether this is the secret whose hash was stored; takes the same time either way."""
    return hmac.compare_digest(hash_secret(secret), stored_hash)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_DIGITS)


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
