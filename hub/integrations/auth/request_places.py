"""What a string to sign may take of the request: its parts as they travel, and digests of its body.

A signature holds only when both sides write the same bytes, so every part is read from the prepared request after
everything else is on it.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.integrations.auth.places import Value

_DIGESTS = ("md5", "sha1", "sha256", "sha512")

#: `header.NAME` is the value of that header, empty when it is not sent.
HEADER = "header."

#: Digests of the body, such as `body_sha256_hex`; they are fit for headers, too.
BODY_DIGESTS = frozenset(f"body_{name}_{form}" for name in _DIGESTS for form in ("hex", "base64"))

#: `target` is path and query. `query_sorted` is the query ordered by name and value. `form_sorted` is the names and
#: values of a form in the body, ordered, each pair once, with nothing between them (as Twilio signs forms).
PARTS = frozenset({"method", "url", "host", "path", "query", "query_sorted", "target", "body", "form_sorted"})


def request_values(request: Any, names: Iterable[str]) -> dict[str, Value]:
    """The values of those places that are parts of the request.

    Args:
        request: prepared, with everything on it that is signed.
        names: of places; those that are no parts of a request are left out.
    """
    return {
        name: partial(_read, request, name)
        for name in names
        if name in PARTS or name in BODY_DIGESTS or name.startswith(HEADER)
    }


def _read(request: Any, name: str) -> str | bytes:
    if name == "body":
        return body_of(request)
    if name.startswith(HEADER):
        return str(request.headers.get(name.removeprefix(HEADER)) or "")
    if name in BODY_DIGESTS:
        _, algorithm, form = name.split("_")
        digest = hashlib.new(algorithm, body_of(request), usedforsecurity=False).digest()
        return digest.hex() if form == "hex" else b64encode(digest)
    if name == "form_sorted":
        pairs = parse_qsl(body_of(request).decode(errors="replace"), keep_blank_values=True)
        return "".join(f"{field}{value}" for field, value in sorted(set(pairs)))
    parts = urlsplit(request.url)
    found: dict[str, str] = {
        "method": request.method,
        "url": request.url,
        "host": parts.netloc,
        "path": parts.path or "/",
        "query": parts.query,
        "query_sorted": "&".join(sorted(parts.query.split("&"), key=lambda pair: pair.partition("=")[::2])),
        "target": request.path_url,
    }
    return found[name]


def body_of(request: Any) -> bytes:
    """The body as it travels; empty when there is none."""
    body = request.body or b""
    return body.encode() if isinstance(body, str) else body
