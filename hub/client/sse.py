"""Server-sent events as they are read from a connection (WHATWG HTML, "Server-sent events"). Pure.

Reads what ends its lines with LF or CRLF; a CR alone, which the format allows too, the hub does not send.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Over what the hub sends of its largest event.
MAX_LINE: Final = 64 * 1_048_576


class LineTooLong(Exception):
    """What comes is no stream of the hub's."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One block of the stream.

    Args:
        id: where to resume; None when it says nothing of it.
        data: None when it has none, which moves the place only.
    """

    id: str | None
    data: str | None


class Parser:
    """Makes frames of bytes, however they were cut."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, received: bytes) -> list[Frame]:
        """The frames that are complete now.

        Raises:
            LineTooLong: a line does not end.
        """
        frames = []
        first, *rest = received.split(b"\n")
        self._line += first
        for piece in rest:
            if frame := self._read(self._line.removesuffix(b"\r").decode(errors="replace")):
                frames.append(frame)
            self._line = bytearray(piece)
        if len(self._line) > MAX_LINE:
            raise LineTooLong(f"a line is over {MAX_LINE} bytes")
        return frames

    def _read(self, line: str) -> Frame | None:
        if not line:
            frame = Frame(self._id, "\n".join(self._data) if self._data else None)
            self._id, self._data = None, []
            return frame if frame.id is not None or frame.data is not None else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None
