"""What is kept of a request's head: credentials are masked, text that cannot be stored is mended. Pure.

Signatures stay: they tell why a verification failed, and without the secret no other can be made from one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hub.core.secret import Secret

MASK = "***"
_MAX_HEADERS = 100
_MAX_NAME = 256
_MAX_VALUE = 4_096
_MAX_QUERY = 8_192
_CREDENTIAL = re.compile(r"authorization|cookie|token|secret|passw|api[-_]?key|credential", re.IGNORECASE)
#: A shorter secret occurs by chance.
_SHORTEST = 6
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def kept_headers(headers: Mapping[str, str], secrets: Iterable[Secret]) -> dict[str, str]:
    """Headers as they may be stored: by name, or because one of the source's secrets is in them, masked.

    Args:
        headers: by lower-case name.
        secrets: of the source.
    """
    known = _known(secrets)
    return {
        storable(name, _MAX_NAME): MASK
        if _is_credential(name[:_MAX_NAME]) or any(secret in value for secret in known)
        else storable(value, _MAX_VALUE)
        for name, value in list(headers.items())[:_MAX_HEADERS]
    }


def kept_query(query: str, secrets: Iterable[Secret]) -> str:
    """A query as it may be stored, its parameters judged like headers."""
    if not query:
        return ""
    known = _known(secrets)
    parts = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        plain = unquote_plus(value)
        hidden = equals and (
            _is_credential(unquote_plus(name)[:_MAX_NAME]) or any(secret in plain for secret in known)
        )
        parts.append(f"{name}={MASK}" if hidden else part)
    return storable("&".join(parts), _MAX_QUERY)


def storable(text: str, limit: int) -> str:
    """Text that Postgres takes: U+0000 and halves of surrogate pairs are replaced, what is over `limit` cut off."""
    cut = text[:limit]
    # Nearly all of it is plain, and this is asked a dozen times for each request.
    return cut if cut.isascii() and "\0" not in cut else _UNSTORABLE.sub("\ufffd", cut)


@lru_cache(maxsize=2_048)
def _is_credential(name: str) -> bool:
    return _CREDENTIAL.search(name) is not None


def _known(secrets: Iterable[Secret]) -> Sequence[str]:
    return [text for secret in secrets if len(text := secret.reveal()) >= _SHORTEST]
