"""The key ring: `HUB_MASTER_KEYS`, comma-separated base64 of exactly 32 random bytes each.

The first key is the primary: it wraps what is written. All of them open what is read. A ring that could only
look safe (no key, a phrase that someone typed, an example) is refused before anything is encrypted with it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hub.core.errors import ConfigError
from hub.vault.envelope import KEY_BYTES, KeyEncryptionKey

if TYPE_CHECKING:
    from hub.core.settings import Settings
    from hub.vault.envelope import RandomBytes

_SETTING = "HUB_MASTER_KEYS"
_ADVICE = "make a key with `hub keys generate`"


def generate_key(random_bytes: RandomBytes) -> str:
    """A new key in the spelling of `HUB_MASTER_KEYS`.

    Args:
        random_bytes: `os.urandom`.
    """
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of this process, primary first; never empty."""

    keys: tuple[KeyEncryptionKey, ...]

    @classmethod
    def from_settings(cls, settings: Settings) -> KeyRing:
        """Read the ring from the settings.

        Raises:
            ConfigError: there is none, or a key of it is not fit for use.
        """
        if settings.master_keys is None:
            raise ConfigError(
                f"{_SETTING} is not set: {_ADVICE} and keep it as safe as the database's backups."
            )
        return parse_keys(settings.master_keys.get_secret_value())

    @property
    def primary(self) -> KeyEncryptionKey:
        """The key that wraps what is written."""
        return self.keys[0]

    @property
    def older(self) -> tuple[KeyEncryptionKey, ...]:
        """The keys that only open."""
        return self.keys[1:]

    def find(self, kek_id: str | None) -> KeyEncryptionKey | None:
        """The key of this id, or None when the ring does not hold it."""
        return next((key for key in self.keys if key.id == kek_id), None)


def parse_keys(text: str) -> KeyRing:
    """Read a ring from its text form.

    Raises:
        ConfigError: no key, a malformed one, one that is not random, or the same one twice. Names the key by
        its
            position, never by its value.
    """
    parts = [part.strip() for part in text.split(",")]
    if not any(parts):
        raise ConfigError(f"{_SETTING} is empty: {_ADVICE}.")
    raw = [_decode(part, position) for position, part in enumerate(parts, start=1)]
    for position, key in enumerate(raw, start=1):
        first = raw.index(key) + 1
        if first != position:
            raise ConfigError(f"{_SETTING}: keys {first} and {position} are the same; remove one.")
    return KeyRing(tuple(KeyEncryptionKey.from_bytes(key) for key in raw))


def _decode(part: str, position: int) -> bytes:
    try:
        key = base64.b64decode(part, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{_SETTING}: key {position} is not base64; {_ADVICE}.") from None
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{_SETTING}: key {position} has {len(key)} bytes instead of {KEY_BYTES}; {_ADVICE}."
        )
    if _looks_made_up(key):
        raise ConfigError(
            f"{_SETTING}: key {position} is an example or a phrase, not {KEY_BYTES} random bytes; {_ADVICE}."
        )
    return key


def _looks_made_up(key: bytes) -> bool:
    """Whether a key comes from a page or a keyboard: all zeros, 0…31, a phrase, hexadecimal digits.

    Random bytes fail each of these rules with a probability under 10**-13.
    """
    repetitive = len(set(key)) < KEY_BYTES // 2
    counting = len({(after - before) % 256 for before, after in pairwise(key)}) == 1
    typed = all(0x20 <= byte < 0x7F for byte in key)
    return repetitive or counting or typed
