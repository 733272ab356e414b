"""Reading a stranger's body: within a deadline, and within a share of memory that all of them have together.

The size cap of one body is the application's (`HUB_API_MAX_BODY_BYTES`, 413).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from hub.core.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from starlette.types import Receive

#: From the end of the head to the end of the body, seconds. Providers send in one piece.
DEADLINE_SECONDS = 10.0
#: Of all bodies that are half read in one process.
MAX_WAITING_BYTES = 64 * 1_048_576


class TooSlow(Malformed):
    """The body did not come within its time."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"


class BodyReader:
    """Reads bodies for one event loop.

    Args:
        seconds: the deadline of each.
        max_waiting: bytes of all bodies that are half read.
    """

    def __init__(self, *, seconds: float = DEADLINE_SECONDS, max_waiting: int = MAX_WAITING_BYTES) -> None:
        self._seconds = seconds
        self._max = max_waiting
        self._waiting = 0

    async def read(self, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            TooSlow: it was not complete in time.
            Unavailable: too much of other bodies waits for its rest.
            ClientDisconnect: the client went away.
        """
        body, more = await self._next(receive, self._seconds)
        if not more:
            return body
        gathered = bytearray(body)
        self._waiting += len(body)
        deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            while more:
                if self._waiting > self._max:
                    raise Unavailable("Too many requests are being read; send this again in a moment.")
                chunk, more = await self._next(receive, deadline - asyncio.get_running_loop().time())
                gathered += chunk
                self._waiting += len(chunk)
        finally:
            self._waiting -= len(gathered)
        return bytes(gathered)

    async def _next(self, receive: Receive, seconds: float) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise TooSlow(f"The body did not come within {self._seconds:g} seconds.") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), message.get("more_body", False)
