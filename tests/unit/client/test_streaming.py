from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from hub.client import HubApiError, HubUnreachable, streaming
from hub.client.streaming import EventStream
from hub.client.transport import Transport

BASE = 0x01993F0C9C7A


def place(n: int, ms: int = 0) -> str:
    """An id; those of a higher number are younger."""
    return f"msg_{BASE + ms:012x}{n:020x}"


def frame(message_id: str, data: Any = 1) -> bytes:
    told = json.dumps(
        {"id": message_id, "traceparent": "00-a-b-01", "type": "a", "timestamp": "t", "data": data},
        separators=(",", ":"),
    )
    return f"id: {message_id}\nevent: a\ndata: {told}\n\n".encode()


def opening(message_id: str) -> bytes:
    return f"retry: 1\nid: {message_id}\n\n".encode()


class Broken(io.BytesIO):
    """Fails when everything was read."""

    def read1(self, size: int | None = -1) -> bytes:
        read = super().read1(-1 if size is None else size)
        if not read:
            raise ProtocolError("cut off")
        return read


def stream_of(
    *parts: bytes, cut: bool = False, kind: str = "text/event-stream; charset=utf-8"
) -> requests.Response:
    made = requests.Response()
    made.status_code = 200
    made.headers["Content-Type"] = kind
    body = b"".join(parts)
    made.raw = HTTPResponse(body=(Broken if cut else io.BytesIO)(body), preload_content=False)
    return made


def problem(status: int, **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.raw = io.BytesIO(b"{}")
    made.headers.update(headers)
    return made


class Wire:
    """Plays answers and errors in turn, and remembers what was asked."""

    def __init__(self, script: list[requests.Response | Exception]) -> None:
        self.script = script
        self.asked: list[requests.PreparedRequest] = []
        self.pauses: list[float] = []
        self.told: list[str] = []

    @property
    def places(self) -> list[str | None]:
        return [request.headers.get("Last-Event-ID") for request in self.asked]

    def open(self, after: str | None = None, retries: int = 1) -> EventStream:
        transport = Transport(
            "http://hub", "hub_key", timeout=1, retries=retries, sleep=self.pauses.append, rng=Random(1)
        )
        return EventStream(transport, {"types": "a"}, after=after, notify=self.told.append)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    def start(*script: requests.Response | Exception) -> Wire:
        wire = Wire(list(script))

        def send(_adapter: HTTPAdapter, request: requests.PreparedRequest, **_: Any) -> requests.Response:
            wire.asked.append(request)
            step = wire.script.pop(0)
            if isinstance(step, Exception):
                raise step
            step.request, step.url = request, request.url or ""
            return step

        monkeypatch.setattr(HTTPAdapter, "send", send)
        return wire

    return start


@pytest.mark.parametrize("cut", [False, True], ids=["ended", "cut off"])
def test_a_stream_that_breaks_goes_on_where_it_was_without_repeats(
    play: Callable[..., Wire], cut: bool
) -> None:
    wire = play(
        stream_of(opening(place(1)), frame(place(2)), frame(place(4)), frame(place(3)), b"id: half", cut=cut),
        requests.ConnectionError("refused"),
        problem(503),
        stream_of(opening(place(4)), frame(place(2)), frame(place(3)), frame(place(4)), frame(place(5))),
    )
    stream = wire.open()
    assert [event.message_id for event in itertools.islice(stream, 4)] == [
        place(2),
        place(4),
        place(3),
        place(5),
    ]
    # The highest place, not the last one: what is lower is repeated by the hub and dropped here.
    assert wire.places == [None, place(4), place(4), place(4)]
    assert [text.split(" ")[0] for text in wire.told] == ["The", "Connected"]
    assert len(wire.pauses) == 3


def test_a_stream_without_events_goes_on_from_its_beginning(play: Callable[..., Wire]) -> None:
    wire = play(stream_of(opening(place(1))), stream_of(frame(place(2))))
    next(wire.open())
    assert wire.places == [None, place(1)]


def test_a_hub_that_is_not_there_at_the_start_is_told_after_the_repeats(play: Callable[..., Wire]) -> None:
    wire = play(*(requests.ConnectionError("refused") for _ in range(3)))
    with pytest.raises(HubUnreachable):
        wire.open(retries=2)
    assert len(wire.asked) == 3


@pytest.mark.parametrize("status", [401, 403, 422])
def test_a_refusal_ends_a_stream_also_a_later_one(play: Callable[..., Wire], status: int) -> None:
    with pytest.raises(HubApiError):
        play(problem(status)).open()
    stream = play(stream_of(frame(place(1))), problem(status)).open()
    next(stream)
    with pytest.raises(HubApiError):
        next(stream)
    assert list(stream) == []


def test_the_hub_is_given_the_pause_that_it_asks_for(play: Callable[..., Wire]) -> None:
    wire = play(problem(429, **{"Retry-After": "7"}), stream_of(frame(place(1))))
    next(wire.open())
    assert wire.pauses == [7.0]


def test_what_is_no_stream_is_told(play: Callable[..., Wire]) -> None:
    wire = play(stream_of(b"<html>", kind="text/html"), stream_of(b"<html>", kind="text/html"))
    with pytest.raises(HubUnreachable, match="not a hub"):
        wire.open()


def test_ids_are_remembered_for_a_while_and_not_for_ever(
    play: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_PRUNE_FROM", 10)
    old, young = [place(n) for n in range(9)], [place(n, ms=61_000) for n in range(9)]
    stream = play(stream_of(*map(frame, [*old, *young, *young]))).open()
    seen = [event.message_id for event in itertools.islice(stream, 18)]
    assert seen == old + young
    assert set(stream._seen) == set(young)


def test_a_stream_that_is_closed_ends(play: Callable[..., Wire]) -> None:
    with play(stream_of(frame(place(1)), frame(place(2)))).open() as stream:
        next(stream)
    assert list(stream) == []
