from __future__ import annotations

import gzip
import zlib

import pytest

from hub.net.decoding import STEP_BYTES, DecodingError, Gzip, decoder_for


def _decode(data: bytes, size: int) -> bytes:
    decoder = Gzip()
    out = b"".join(p for i in range(0, len(data), size) for p in decoder.feed(data[i : i + size]))
    decoder.finish()
    return out


@pytest.mark.parametrize("size", [1, 7, 1000, 10_000_000])
@pytest.mark.parametrize("length", [0, 1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 400_000])
def test_a_gzip_body_comes_back_whole_however_it_is_cut(size: int, length: int) -> None:
    body = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    assert _decode(gzip.compress(body), size) == body


def test_several_members_are_one_body() -> None:
    assert _decode(gzip.compress(b"one") + gzip.compress(b"two"), 5) == b"onetwo"


def test_no_step_is_larger_than_the_cap_and_stopping_stops_the_work() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    pieces = Gzip().feed(bomb)
    assert len(next(pieces)) == STEP_BYTES
    assert max(len(p) for p in Gzip().feed(bomb)) == STEP_BYTES


@pytest.mark.parametrize(
    "data",
    [b"not gzip", zlib.compress(b"x"), gzip.compress(b"x" * 99) + b"junk"],
    ids=["text", "zlib", "trailing junk"],
)
def test_what_is_not_gzip_is_a_fault(data: bytes) -> None:
    with pytest.raises(DecodingError):
        _decode(data, 100)


def test_a_cut_off_stream_is_a_fault() -> None:
    with pytest.raises(DecodingError, match="too early"):
        _decode(gzip.compress(b"x" * 1000)[:-4], 100)


def test_an_encoding_that_was_not_asked_for_is_a_fault() -> None:
    assert list(decoder_for("").feed(b"a")) == [b"a"]
    assert isinstance(decoder_for(" GZIP"), Gzip)
    with pytest.raises(DecodingError):
        decoder_for("br")
