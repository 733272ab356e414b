from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client import sse
from hub.client.sse import Frame, LineTooLong, Parser

STREAM = ': hi\nretry: 5\nid: a\n\nid: b\nevent: x\ndata: {"ü":\ndata:\ndata: 1}\n\n\r\ndata:y\r\n\r\nid: c\ndata: unfinished\n'.encode()
FRAMES = [Frame("a", None), Frame("b", '{"ü":\n\n1}'), Frame(None, "y")]


@given(st.lists(st.integers(0, len(STREAM))))
def test_frames_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    parser = Parser()
    edges = [0, *sorted(cuts), len(STREAM)]
    found = [frame for start, end in itertools.pairwise(edges) for frame in parser.feed(STREAM[start:end])]
    assert found == FRAMES


def test_an_id_with_a_nul_is_ignored() -> None:
    assert Parser().feed(b"id: a\0b\ndata: x\n\n") == [Frame(None, "x")]


def test_a_line_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE", 100)
    parser = Parser()
    parser.feed(b"data: " + b"x" * 90)
    with pytest.raises(LineTooLong):
        parser.feed(b"x" * 10)
