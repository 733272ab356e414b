"""Events, counting and verdicts; whole answers and streams are read in tests/integration."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.integrations.transports.ai.asking import DIALECTS, Wire
from hub.integrations.transports.ai.events import events_of
from hub.integrations.transports.ai.forms import AiSettings, Price
from hub.integrations.transports.ai.reading import error_of, result_of
from hub.integrations.transports.ai.usage import Usage, count, price_of
from hub.integrations.transports.ai.verdicts import retry_headers, verdict
from hub.net.outcome import ErrorClass, Outcome
from hub.net.sockets import Deadline

PRICE = Price(input_per_million=3, output_per_million=15)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", [("message", "a")]),
        (b"data:a\r\n\r\n", [("message", "a")]),
        (b"\xef\xbb\xbfevent: x\rdata:  a\r\r", [("x", " a")]),
        (b"data: a\ndata: b\n\n", [("message", "a\nb")]),
        (b"data\n\n", [("message", "")]),
        (b"event: x\n\ndata: a\n\n", [("message", "a")]),
        (b": data: a\n\n", []),
        (b"datas: a\n\n", []),
        (b"data: a\n", []),
        (b"data: a\n\ndata: b", [("message", "a")]),
        ("data: \u2028ü\n\n".encode(), [("message", "\u2028ü")]),
        (b"data: \xff\n\n", [("message", "\ufffd")]),
    ],
)
def test_events_are_read_as_browsers_read_them(stream: bytes, events: list[tuple[str, str]]) -> None:
    assert list(events_of(stream)) == events


@given(st.binary(max_size=200), st.sampled_from(sorted(DIALECTS)), st.booleans())
def test_whatever_comes_is_judged(content: bytes, dialect: str, stream: bool) -> None:
    kind = "text/event-stream" if stream else "application/json"
    outcome = Outcome(200, None, headers={"content-type": kind}, body=content)
    settings = AiSettings.model_validate({"dialect": dialect})
    result, _, error_class, message = result_of(
        outcome, Wire("chat", b"", "m", raw=False), settings, DIALECTS[dialect], Deadline(10)
    )
    assert result is None
    assert error_class is not None
    assert message.endswith(".")


STARTED = {
    "type": "message_start",
    "message": {"id": "m", "model": "m", "content": [], "usage": {"input_tokens": 9}},
}
_DELTA = {"type": "content_block_delta", "index": 0}
CITED = {**_DELTA, "delta": {"type": "citations_delta", "citation": 1}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


def read(
    dialect: str, content: bytes, *, seconds: float = 30
) -> tuple[bytes | None, dict[str, float], ErrorClass | None, str]:
    outcome = Outcome(200, None, headers={"content-type": "text/event-stream"}, body=content)
    settings = AiSettings.model_validate({"dialect": dialect})
    wire = Wire("chat", b"", "m", raw=True)
    return result_of(outcome, wire, settings, DIALECTS[dialect], Deadline(seconds))


def stream(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


LONG = {
    "lines of one event": ("openai_chat", b"data\n" * 200_000),
    "citations": ("anthropic_messages", stream(STARTED, BLOCK) + stream(CITED) * 40_000),
    "kinds of tokens": (
        "anthropic_messages",
        stream(STARTED)
        + b"".join(
            stream({"type": "message_delta", "delta": {}, "usage": {f"u{n}": 1}}) for n in range(20_000)
        ),
    ),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_stream_is_read_in_time(kind: str) -> None:
    begun = time.process_time()
    read(*LONG[kind])
    assert time.process_time() - begun < 4


def _piece(arguments: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {**more, "function": {"arguments": arguments, **({"name": name} if name else {})}}


@pytest.mark.parametrize(
    "chunks",
    [
        [
            [_piece("", "f", index=0, id="a")],
            [_piece('{"x":', index=0)],
            [_piece("1}", index=0)],
            [_piece('{"y":2}', "g", index=1, id="b")],
        ],
        [[_piece('{"x":1}', "f", index=0, id="a"), _piece('{"y":2}', "g", index=1, id="b")]],
        [[_piece('{"y":2}', "g", index=1, id="b")], [_piece('{"x":1}', "f", index=0, id="a")]],
        [[_piece('{"x":1}', "f", id="a")], [_piece('{"y":2}', "g", id="b")]],
        [[_piece('{"x":1}', "f", id="a"), _piece('{"y":2}', "g", id="b")]],
        [
            [_piece('{"x":', "f", id="a")],
            [_piece("1}")],
            [_piece('{"y":', "g", id="b")],
            [_piece("2}", index=None, id="")],
        ],
        [
            [_piece('{"x":', "f", id="a"), _piece('{"y":', "g", id="b")],
            [_piece("1}", id="a"), _piece("2}", id="b")],
        ],
        [[_piece('{"x":', "f", id="a", index=0)], [_piece('{"y":2}', "g", id="b")], [_piece("1}", id="a")]],
    ],
    ids=[
        "by index",
        "at once",
        "other order",
        "by id",
        "by id at once",
        "pieces without id",
        "mixed",
        "one index",
    ],
)
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_compatible"])
def test_tool_calls_of_a_stream_are_kept_apart(dialect: str, chunks: list[Any]) -> None:
    choices: list[dict[str, Any]] = [{"index": 0, "delta": {"tool_calls": calls}} for calls in chunks]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    content = stream(*({"choices": [choice]} for choice in choices)) + b"data: [DONE]\n\n"
    result, _, error_class, message = read(dialect, content)
    assert error_class is None, message
    assert result is not None
    assert json.loads(result)["tool_calls"] == [
        {"id": "a", "name": "f", "arguments": {"x": 1}},
        {"id": "b", "name": "g", "arguments": {"y": 2}},
    ]


def test_tool_calls_without_index_and_id_are_kept_apart_by_their_names() -> None:
    chunks = [[_piece('{"x":', "f")], [_piece("1}")], [_piece('{"y":2}', "g"), _piece("{}", "f")]]
    choices: list[dict[str, Any]] = [{"delta": {"tool_calls": calls}} for calls in chunks]
    choices.append({"delta": {}, "finish_reason": "tool_calls"})
    result = read("openai_compatible", stream(*({"choices": [choice]} for choice in choices)))[0]
    assert result is not None
    found = json.loads(result)["tool_calls"]
    assert [(call["name"], call["arguments"]) for call in found] == [
        ("f", {"x": 1}),
        ("g", {"y": 2}),
        ("f", {}),
    ]


def test_citations_are_kept_in_their_order() -> None:
    delta = {**_DELTA, "delta": {"type": "text_delta", "text": "a"}}
    cited = [{**_DELTA, "delta": {"type": "citations_delta", "citation": {"n": n}}} for n in range(3)]
    result, _, error_class, _ = read(
        "anthropic_messages", stream(STARTED, BLOCK, delta, *cited, {"type": "message_stop"})
    )
    assert error_class is None
    assert result is not None
    block = {"type": "text", "text": "a", "citations": [{"n": 0}, {"n": 1}, {"n": 2}]}
    assert json.loads(result)["messages"] == [{"role": "assistant", "content": [block]}]


def test_the_deadline_ends_the_reading_of_a_stream_and_what_was_counted_is_kept() -> None:
    class Late(Deadline):
        """Over at the third look."""

        looks = 0

        def remaining(self) -> float:
            self.looks += 1
            if self.looks > 2:
                raise TimeoutError
            return 1

    content = stream(STARTED, BLOCK) + stream(CITED) * 10
    outcome = Outcome(200, None, headers={"content-type": "text/event-stream"}, body=content)
    dialect = "anthropic_messages"
    found = result_of(
        outcome,
        Wire("chat", b"", "m", raw=False),
        AiSettings.model_validate({"dialect": dialect}),
        DIALECTS[dialect],
        Late(1),
    )
    assert found[0] is None
    assert found[1]["input_tokens"] == 9
    assert found[2] is ErrorClass.TIMEOUT
    assert found[3] == "The time was over while the answer was read."


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Usage(1_000_000, 0), PRICE, 3),
        (Usage(0, 1_000_000), PRICE, 15),
        (Usage(100, 20), PRICE, 0.0006),
        (Usage(100, 0, cached_input_tokens=40), PRICE, 0.0003),
        (
            Usage(100, 0, cached_input_tokens=40),
            PRICE.model_copy(update={"cached_input_per_million": 0.0}),
            0.00018,
        ),
        (Usage(100, 0, 0, 10), PRICE.model_copy(update={"cache_write_per_million": 6.0}), 0.00033),
        (Usage(10, 0, 40, 0), PRICE, 0.00012),
    ],
)
def test_an_answer_has_its_price(usage: Usage, price: Price, cost: float) -> None:
    assert usage.told(price)["cost"] == pytest.approx(cost)


def test_without_a_price_there_is_no_cost() -> None:
    told = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert Usage(1, 2).told(None) == told


def test_the_answering_models_price_comes_first() -> None:
    other = Price(input_per_million=1, output_per_million=1)
    assert price_of({"a": PRICE, "a-2026": other}, "a-2026", "a") is other
    assert price_of({"a": PRICE}, "a-2026", "a") is PRICE
    assert price_of({"a": PRICE}, "", "b") is None


@pytest.mark.parametrize("value", [None, -1, 1.5, True, "3", 10**400])
def test_numbers_that_make_no_sense_count_nothing(value: Any) -> None:
    assert count(value) == 0
    assert count(3) == 3


@pytest.mark.parametrize(
    ("status", "error", "error_class", "message"),
    [
        (429, {}, ErrorClass.RATE_LIMITED, "The answer was status 429."),
        (429, {"code": "insufficient_quota"}, ErrorClass.PROVIDER_ERROR, None),
        (401, {}, ErrorClass.UNAUTHORIZED, "The answer was status 401."),
        (503, {"message": "Busy"}, ErrorClass.PROVIDER_BUSY, "The service answered: Busy."),
        (529, {}, ErrorClass.PROVIDER_BUSY, None),
        (400, {"type": "Overloaded_Error"}, ErrorClass.PROVIDER_BUSY, None),
        (404, {"message": "No such model...", "type": "x", "code": "x"}, ErrorClass.HTTP_4XX, None),
        (502, {}, ErrorClass.HTTP_5XX, None),
        (200, {}, ErrorClass.PROVIDER_ERROR, "The service answered with an error."),
        (200, {"type": "timeout_error"}, ErrorClass.HTTP_5XX, "The service answered: timeout_error."),
        (200, {"code": 503}, ErrorClass.PROVIDER_BUSY, None),
        (400, {"code": 503}, ErrorClass.HTTP_4XX, None),
        (
            400,
            {"message": "a\x00\n\u202eb", "code": ["x"]},
            ErrorClass.HTTP_4XX,
            "The service answered: a  b.",
        ),
    ],
)
def test_an_error_is_told_and_classed(
    status: int, error: dict[str, Any], error_class: ErrorClass, message: str | None
) -> None:
    found, told = verdict(status, error)
    assert found is error_class
    assert message is None or told == message
    assert told.isprintable()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":{"a":1}}', {"a": 1}),
        (b'{"error":"text"}', {"message": "text"}),
        (b'{"message":"m","object":"error"}', {"message": "m", "object": "error"}),
        (b'[{"error":{"a":1}}]', {"a": 1}),
        (b"[]", {}),
        (b"3", {}),
        (b"<p>", {}),
        (b"\xff\xfe", {}),
        (b"[" * 100_000, {}),
    ],
)
def test_the_error_is_found_in_any_answer(body: bytes, error: dict[str, Any]) -> None:
    assert error_of(body) == error


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, {}),
        ({"retry-after": "7"}, {"retry-after": "7"}),
        ({"retry-after": "0.01"}, {"retry-after": "1"}),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}),
        ({"retry-after-ms": "2001"}, {"retry-after": "3"}),
        ({"retry-after": "soon", "retry-after-ms": "2001"}, {}),
    ],
)
def test_the_wanted_wait_is_in_whole_seconds(headers: dict[str, str], found: dict[str, str]) -> None:
    assert retry_headers(headers) == found
