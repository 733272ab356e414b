"""What a session came for: which messages are kept, and when there are enough of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.websocket.messages import from_wire
from hub.transforms.filters import compile_filter

if TYPE_CHECKING:
    from hub.integrations.transports.websocket.forms import Collect

# {"messages":[],"close_code":1000,"close_reason":"…"}: a reason has at most 123 bytes (RFC 6455, 5.5).
_ENVELOPE_BYTES = 900


class FullError(Exception):
    """The kept messages are over the cap."""


class Collection:
    """The messages of one session, as the JSON text that they become.

    Args:
        collect: the wishes.
        max_bytes: of the JSON text.
    """

    def __init__(self, collect: Collect, max_bytes: int) -> None:
        self._wanted = collect.wanted
        self._skip = collect.skip
        self._only = None if collect.only is None else compile_filter(collect.only)
        self._until = None if collect.until is None else compile_filter(collect.until)
        self._room = max(max_bytes - _ENVELOPE_BYTES, 0)
        self._kept = bytearray()
        self._count = 0
        self._met = False
        #: A message came, kept or not.
        self.begun = False

    @property
    def complete(self) -> bool:
        """Enough was kept, or the message to wait for came."""
        return self._met or (self._wanted is not None and self._count >= self._wanted)

    def add(self, data: str | bytes) -> None:
        """Look at one message.

        Raises:
            FullError: there is no room for it.
        """
        self.begun = True
        value, text = from_wire(data)
        self._met = self._until is not None and self._until.matches(value)
        if self._only is not None and not self._only.matches(value):
            return
        if self._skip:
            self._skip -= 1
            return
        piece = text.encode()
        self._room -= len(piece) + 1
        if self._room < 0:
            raise FullError
        if self._count:
            self._kept += b","
        self._kept += piece
        self._count += 1

    def body(self, ending: dict[str, Any]) -> bytes:
        """The answer's body.

        Args:
            ending: further members, such as the close code.
        """
        rest = json.dumps(ending, separators=(",", ":")).encode()
        return b'{"messages":[' + bytes(self._kept) + b"]," + rest[1:]
