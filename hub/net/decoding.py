"""Content decoding that a small answer cannot blow up: gzip only, in steps of at most 64 KiB."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_BYTES = 65_536
_GZIP = 16 + zlib.MAX_WBITS


class DecodingError(Exception):
    """The body is not what its Content-Encoding says."""


class Decoder(Protocol):
    """Turns received bytes into body bytes."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most 64 KiB; stop iterating and nothing more is decoded."""
        ...

    def finish(self) -> None:
        """Call after the last byte; raises DecodingError when the stream is cut off."""
        ...


class Identity:
    """No encoding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bytes as they came."""
        yield data

    def finish(self) -> None:
        """Nothing can be missing."""


class Gzip:
    """RFC 1952, several members allowed."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._inside = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode one received piece.

        Raises:
            DecodingError: the bytes are not gzip.
        """
        full = False
        try:
            # A full step may leave output inside zlib although all input is consumed.
            while data or full:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP)
                self._inside = True
                piece = self._member.decompress(data, STEP_BYTES)
                yield piece
                data = self._member.unconsumed_tail or self._member.unused_data
                full = len(piece) == STEP_BYTES and not self._member.eof
        except zlib.error:
            raise DecodingError("The body is not valid gzip.") from None

    def finish(self) -> None:
        """Check the end.

        Raises:
            DecodingError: a gzip member began and did not end.
        """
        if self._inside and not self._member.eof:
            raise DecodingError("The gzip body ends too early.")


def decoder_for(content_encoding: str) -> Decoder:
    """The decoder for a Content-Encoding value.

    Raises:
        DecodingError: an encoding that the hub never asks for.
    """
    name = content_encoding.strip().lower()
    if name in {"", "identity"}:
        return Identity()
    if name in {"gzip", "x-gzip"}:
        return Gzip()
    raise DecodingError("The body has a Content-Encoding that was not asked for; only gzip is.")
