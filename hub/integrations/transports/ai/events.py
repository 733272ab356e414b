"""Server-sent events (WHATWG HTML, 9.2.6), of a stream that has been received whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_END = re.compile(r"\r\n|\n|\r")


def events_of(body: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of every event; an event that the end of the stream cut off is none.

    Args:
        body: the stream.
    """
    name = ""
    data: list[str] | None = None
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    begin = 0
    # What follows the last line end is no line.
    for end in _LINE_END.finditer(text):
        line, begin = text[begin : end.start()], end.end()
        if not line:
            if data is not None:
                yield name or "message", "\n".join(data)
            name, data = "", None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data = [] if data is None else data
            data.append(value)
