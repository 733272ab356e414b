"""What a body may have been before something between sender and receiver changed it. Pure.

Each of these changes was made by a real proxy, framework or shell: JSON parsed and written again, a line end added by
an editor, bytes read in the wrong encoding. Undoing them one at a time finds the one that broke a signature.
"""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOM = b"\xef\xbb\xbf"
#: (says, indent, separators)
_LAYOUTS: tuple[tuple[str, int | None, tuple[str, str]], ...] = (
    ("without spaces", None, (",", ":")),
    ("with a space after , and :", None, (", ", ": ")),
    ("indented by 2", 2, (",", ": ")),
    ("indented by 4", 4, (",", ": ")),
)
#: (says, encoding of the body now, encoding that gives the original)
_RECODINGS = (
    ("it was read as Windows-1252 and written as UTF-8", "utf-8", "cp1252"),
    ("it was read as Latin-1 and written as UTF-8", "utf-8", "latin-1"),
    ("it was written as Windows-1252", "cp1252", "utf-8"),
    ("it was written as Latin-1", "latin-1", "utf-8"),
    ("it was written as UTF-16", "utf-16", "utf-8"),
)
_ENVELOPE = ("type", "timestamp", "data")


@dataclass(frozen=True, slots=True)
class Original:
    """A body as it may have been.

    Args:
        code: the kind of change: `newline`, `line_ends`, `bom`, `encoding`, `json`, `wrapped` or `white_space`.
        change: what happened to it, a clause.
        body: the bytes before.
    """

    code: str
    change: str
    body: bytes


def originals_of(body: bytes) -> Iterator[Original]:
    """All bodies that a known change turns into something like this one, the likely first; none twice."""
    seen = {hashlib.sha256(body).digest()}  # not the bodies: sixty of a large one would fill the memory
    for make in (_line_ends, _written_again, _encodings, _wrappings):
        for original in make(body):
            digest = hashlib.sha256(original.body).digest()
            if digest not in seen:
                seen.add(digest)
                yield original


def _line_ends(body: bytes) -> Iterator[Original]:
    if body.endswith(b"\n"):
        ended = body.removesuffix(b"\n").removesuffix(b"\r")
        yield Original("newline", "a line end was added at its end", ended)
    yield Original("newline", "the line end at its end was removed", body + b"\n")
    yield Original("newline", "the line end (CRLF) at its end was removed", body + b"\r\n")
    unix = body.replace(b"\r\n", b"\n")
    yield Original("line_ends", "its line ends were changed from LF to CRLF", unix)
    yield Original("line_ends", "its line ends were changed from CRLF to LF", unix.replace(b"\n", b"\r\n"))
    yield Original("white_space", "white space was added around it", body.strip())


def _written_again(body: bytes) -> Iterator[Original]:
    try:
        value = json.loads(body.decode())  # of bytes, Python would guess the encoding
        if isinstance(value, str):
            yield Original("wrapped", "it was put into a JSON string", value.encode())
        for layout, indent, separators in _LAYOUTS:
            for order, ordered in _orders(value):
                for escapes, text in _texts(ordered, indent, separators):
                    how = ", ".join(filter(None, (layout, order, escapes)))
                    change = f"its JSON was parsed and written again; the original was written {how}"
                    yield Original("json", change, text.encode())
    except (ValueError, RecursionError):  # no JSON, or text that is not Unicode
        return


def _orders(value: Any) -> Iterator[tuple[str, Any]]:
    yield "", value
    yield "with sorted keys", json.loads(json.dumps(value, sort_keys=True))
    if isinstance(value, dict) and set(value) == set(_ENVELOPE):
        yield "as type, timestamp, data", {name: value[name] for name in _ENVELOPE}


def _texts(value: Any, indent: int | None, separators: tuple[str, str]) -> Iterator[tuple[str, str]]:
    def dumps(part: Any, *, escaped: bool) -> str:
        return json.dumps(part, indent=indent, separators=separators, ensure_ascii=escaped)

    for escapes, escaped in (("", False), ("with \\u escapes", True)):
        text = dumps(value, escaped=escaped)
        yield escapes, text
        yield f"{escapes} with \\/ escapes".strip(), text.replace("/", "\\/")
        if isinstance(value, dict) and tuple(value) == _ENVELOPE:
            # The hub's own envelope is compact, around data in the publisher's layout.
            kind, stamp, data = (dumps(value[name], escaped=escaped) for name in _ENVELOPE)
            how = f"{escapes} in data only".strip()
            yield how, f'{{"type":{kind},"timestamp":{stamp},"data":{data}}}'


def _encodings(body: bytes) -> Iterator[Original]:
    if body.startswith(_BOM):
        yield Original("bom", "a byte order mark was added", body.removeprefix(_BOM))
    else:
        yield Original("bom", "its byte order mark was removed", _BOM + body)
    for change, now, before in _RECODINGS:
        try:
            recoded = body.decode(now).encode(before)
        except UnicodeError:
            continue
        yield Original("encoding", change, recoded)


def _wrappings(body: bytes) -> Iterator[Original]:
    try:
        decoded = base64.b64decode(body.strip(), validate=True)
        yield Original("wrapped", "it was base64-encoded (as API gateways do)", decoded)
    except (binascii.Error, ValueError):
        pass
    if body[:2] in (b"b'", b'b"'):
        try:
            value = ast.literal_eval(body.decode())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = None
        if isinstance(value, bytes):
            yield Original("wrapped", "it was printed as Python bytes", value)
    if b"%" in body:
        yield Original("wrapped", "it was URL-encoded", unquote_to_bytes(body.replace(b"+", b" ")))
