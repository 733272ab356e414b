"""What came back, fit to be stored and shown: session headers and echoes of our own secrets are masked.

Providers echo credentials more often than one thinks (debug routes, error texts, redirect targets), so every answer
is searched for the texts that the call carried.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.net.outcome import Outcome

_MASK = "***"
#: Answer headers that are credentials themselves.
_SESSION_HEADERS = frozenset({"set-cookie", "set-cookie2", "authorization", "authentication-info"})
# Shorter texts occur by chance, and masking them would spoil the answer.
_SHORTEST = 6
_HEX = re.compile(r"%[0-9A-F]{2}")


class Redactor:
    """Masks the secrets of one integration.

    Args:
        secrets: the texts as they travel.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        texts = {form for secret in secrets if len(secret) >= _SHORTEST for form in spellings(secret)}
        # The longest first: one secret may be a part of another.
        self._texts = sorted(texts, key=lambda text: (-len(text), text))
        self._bytes = [text.encode() for text in self._texts]

    def clean(self, outcome: Outcome) -> None:
        """Mask an outcome in place."""
        for name, value in outcome.headers.items():
            outcome.headers[name] = _MASK if name in _SESSION_HEADERS else self.text(value)
        outcome.message = self.text(outcome.message)
        for secret in self._bytes:
            if secret in outcome.body:
                outcome.body = outcome.body.replace(secret, _MASK.encode())
        if outcome.truncated or not outcome.ok:
            self._clean_end(outcome)

    def _clean_end(self, outcome: Outcome) -> None:
        """An answer that broke off may end amid a secret; who chooses where it is cut would get all but a letter."""
        body = outcome.body
        for secret in self._bytes:
            for length in range(min(len(secret) - 1, len(body)), _SHORTEST - 1, -1):
                if body.endswith(secret[:length]):
                    outcome.body = body[:-length] + _MASK.encode()
                    return

    def text(self, text: str) -> str:
        """A text with the secrets masked."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, _MASK)
        return text


def spellings(secret: str) -> set[str]:
    """How a text looks in an answer: plain, in a page, in an address or a form, in JSON."""
    return {secret, escape(secret), *_in_url(secret), *_in_json(secret)}


def _in_url(text: str) -> set[str]:
    """Encoded for an address or a form; half of the world writes the digits in lower case (RFC 3986, 2.1)."""
    forms = {quote(text, safe=""), quote(text), quote_plus(text)}
    return forms | {_HEX.sub(lambda digits: digits[0].lower(), form) for form in forms}


def _in_json(text: str) -> set[str]:
    """Inside a JSON string: slashes, and what is not ASCII, may be escaped or not (RFC 8259, 7)."""
    forms = {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return forms | {form.replace("/", "\\/") for form in forms}
