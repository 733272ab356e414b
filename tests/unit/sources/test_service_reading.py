"""Bodies that come slowly, in pieces, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from hub.core.errors import Unavailable
from hub.sources.reading import BodyReader, TooSlow

Receive = Callable[[], Awaitable[Any]]


def sending(*chunks: bytes | None, last: Any = None) -> Receive:
    """A connection that gives these chunks; None is a pause without an end."""
    waiting = list(chunks)

    async def receive() -> Any:
        if not waiting and last is not None:
            return last
        chunk = waiting.pop(0)
        if chunk is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting) or last is not None}

    return receive


def test_pieces_are_put_together_and_nothing_stays_counted() -> None:
    reader = BodyReader()
    assert asyncio.run(reader.read(sending(b"ab", b"", b"c"))) == b"abc"
    assert asyncio.run(reader.read(sending(b""))) == b""
    assert reader._waiting == 0


@pytest.mark.parametrize("chunks", [(None,), (b"a", None), (b"a", b"b", None)])
def test_a_body_that_does_not_end_is_given_up(chunks: tuple[bytes | None, ...]) -> None:
    reader = BodyReader(seconds=0.05)
    with pytest.raises(TooSlow):
        asyncio.run(reader.read(sending(*chunks)))
    assert reader._waiting == 0


def test_a_client_that_goes_away_is_noticed() -> None:
    reader = BodyReader()
    with pytest.raises(ClientDisconnect):
        asyncio.run(reader.read(sending(b"a", last={"type": "http.disconnect"})))
    assert reader._waiting == 0


def test_half_read_bodies_share_one_bound() -> None:
    async def both() -> None:
        reader = BodyReader(max_waiting=100)
        slow = asyncio.create_task(reader.read(sending(b"x" * 90, None)))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await reader.read(sending(b"x" * 20, b"x"))
        # What comes in one piece waits for nothing.
        assert await reader.read(sending(b"x" * 500)) == b"x" * 500
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert reader._waiting == 0

    asyncio.run(both())
