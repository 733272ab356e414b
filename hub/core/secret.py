"""A secret in memory: it cannot be printed, formatted, logged, pickled or put into JSON by accident."""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn


class Secret:
    """Text that only `reveal()` gives back. Equality is constant-time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself; call it at the last moment, where it is used."""
        return self._value

    @property
    def last4(self) -> str:
        """The last four characters for display, or nothing when the secret is too short to show a part of it."""
        return self._value[-4:] if len(self._value) >= 16 else ""

    @property
    def fingerprint(self) -> str:
        """A short SHA-256 prefix: tells two secrets apart without showing either."""
        return hashlib.sha256(b"hub/fingerprint/v1\0" + self._value.encode()).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be pickled")
