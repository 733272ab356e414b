from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.net.outcome import (
    ErrorClass,
    Outcome,
    classify_status,
    collect_headers,
    retry_after_seconds,
    safe_text,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None), (204, None), (299, None), (300, ErrorClass.REDIRECT), (304, ErrorClass.REDIRECT),
        (400, ErrorClass.HTTP_4XX), (429, ErrorClass.HTTP_4XX), (500, ErrorClass.HTTP_5XX), (599, ErrorClass.HTTP_5XX),
        (101, ErrorClass.PROTOCOL), (600, ErrorClass.PROTOCOL), (999, ErrorClass.PROTOCOL),
    ],
)  # fmt: skip
def test_a_status_has_one_class(status: int, expected: ErrorClass | None) -> None:
    assert classify_status(status) is expected
    assert Outcome(status, classify_status(status)).ok is (expected is None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("86401", 86400.0), ("999999999999", 86400.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0), ("Sun, 22 Nov 2026 12:01:00 -0000", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0),
        ("", None), ("soon", None), ("-1", None), ("1.5", None), ("1e3", None), ("٣", None), ("9" * 40, None),
        ("Sun, 99 Nov 2026 12:01:00 GMT", None), ("2026-11-22T12:00:00Z", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_at_most_a_day(value: str, expected: float | None) -> None:
    assert retry_after_seconds({"retry-after": value}, NOW) == expected


def test_without_the_header_there_is_no_wish() -> None:
    assert retry_after_seconds({}, NOW) is None


def test_repeated_headers_are_joined_and_names_are_lower_case() -> None:
    pairs = [("X-A", "1"), ("x-b", "2"), ("X-a", "3")]
    assert collect_headers(pairs) == {"x-a": "1, 3", "x-b": "2"}


def test_headers_are_capped_in_count_and_size() -> None:
    assert len(collect_headers((f"h{i}", "x") for i in range(1000))) == 100
    kept = collect_headers((f"h{i}", "x" * 10_000) for i in range(10))
    assert sum(map(len, kept.values())) <= 32_768


def test_control_characters_never_reach_what_is_stored() -> None:
    assert collect_headers([("a", "x\x00y\x1bz")]) == {"a": "x y z"}
    assert safe_text("a\x00\r\nb" + "c" * 1000, limit=10) == "a bccccccc"
