"""Bodies of requests as options of curl: text as it is, forms with files by their parts, anything else piped. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Headers = list[tuple[str, str]]

#: Characters of an argument; Linux refuses one of 128 KiB.
_MAX_ARGUMENT = 65_536
#: What a terminal would not show, or not copy.
_UNSHOWN = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")
_BOUNDARY = re.compile(r"multipart/form-data; boundary=([^\s;]+)")
_HEAD = re.compile(
    r'Content-Disposition: form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)"\r\nContent-Type: ([^\r\n]*))?'
)


def body_options(body: bytes | None, headers: Sequence[tuple[str, str]]) -> tuple[str, list[str], Headers]:
    """How a body is given to curl.

    Args:
        body: the bytes.
        headers: of the request.

    Returns:
        What stands before the command, options, and the headers that are still to be sent.
    """
    if body is None:
        return "", [], list(headers)
    text = _text(body)
    boundary = _boundary(headers)
    if boundary is not None and (options := _form(body, boundary)) is not None:
        return "", options, [one for one in headers if one[0].lower() != "content-type"]
    if text is None or _UNSHOWN.search(text):
        return (
            f"printf %s {b64encode(body).decode()} | base64 --decode | ",
            ["--data-binary @-"],
            list(headers),
        )
    if len(body) > _MAX_ARGUMENT:
        return f"printf %s {quote(text)} | ", ["--data-binary @-"], list(headers)
    return "", [f"--data-raw {quote(text)}"], list(headers)


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _boundary(headers: Sequence[tuple[str, str]]) -> str | None:
    for name, value in headers:
        if name.lower() == "content-type" and (found := _BOUNDARY.fullmatch(value)):
            return found[1]
    return None


def _form(body: bytes, boundary: str) -> list[str] | None:
    """An option for each part (RFC 7578); None when a part is no text that can stand in an argument."""
    line = b"--" + boundary.encode()
    options = []
    for section in body.removesuffix(line + b"--\r\n").split(line + b"\r\n")[1:]:
        head, _, content = section.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        text, found = _text(content), _HEAD.fullmatch(_text(head) or "")
        if found is None or text is None or _UNSHOWN.search(text) or len(content) > _MAX_ARGUMENT:
            return None
        part = f"{found[1]}={_word(text)}"
        if "=" in found[1]:
            return None
        if found[2] is not None:
            part += f";filename={_word(found[2])};type={found[3]}"
        options.append(f"--form {quote(part)}")
    return options


def _word(text: str) -> str:
    """In double quotes, as curl reads them in --form."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
