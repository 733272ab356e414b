"""Events, counting and verdicts; whole answers and streams are read in tests/integration."""

from __future__ import annotations

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
        outcome, Wire("chat", b"", "m", raw=False), settings, DIALECTS[dialect]
    )
    assert result is None
    assert error_class is not None
    assert message.endswith(".")


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
