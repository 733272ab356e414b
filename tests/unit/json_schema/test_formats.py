"""The formats that are asserted, by what their documents say."""

from __future__ import annotations

import pytest

from hub.json_schema import compile_schema
from hub.json_schema.formats import FORMATS

FITTING = {
    "date-time": [
        "1985-04-12T23:20:50.52Z",
        "1996-12-19T16:39:57-08:00",
        "1990-12-31T23:59:60Z",
        "1990-12-31T15:59:60-08:00",
        "2024-02-29t00:00:00z",
    ],
    "date": ["2024-02-29", "0001-01-01"],
    "time": ["00:00:00Z", "23:59:59.123456789+05:30"],
    "uuid": ["2EB8AA08-aa98-11ea-b4aa-73b441d16380"],
    "email": ["a@b", "first.last+tag@example.co.uk", "o'neil@example.com"],
    "uri": ["https://example.com/a?b=c#d", "urn:isbn:0451450523", "mailto:a@b.c", "http://[::1]:8080/"],
    "ipv4": ["127.0.0.1", "255.255.255.255"],
    "ipv6": ["::1", "2001:db8::ff00:42:8329"],
}
OTHERS = {
    "date-time": [
        "1985-04-12T23:20:50", "1985-04-12 23:20:50Z", "1990-02-31T15:59:59Z", "1990-12-31T15:59:60Z",
        "1998-12-31T23:58:60Z", "2024-01-01T24:00:00Z", "٢٠٢٤-01-01T00:00:00Z", "2024-01-01T00:00:00+24:00", "", "T",
    ],
    "date": ["2023-02-29", "2023-2-1", "20230201", "2023-01-01\n"],
    "time": ["12:00", "12:00:00", "12:60:00Z", "12:00:00Z\n"],
    "uuid": ["2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638g", ""],
    "email": ["a", "@b", "a@", ".a@b", "a.@b", "a..b@c", "a b@c", "a@-b.c", "a@b..c", "a@b\n"],
    "uri": ["/path", "example.com", "http://a b", "http://example.com/%zz", "http://exämple.com", "http://[::1", ""],
    "ipv4": ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4\n"],
    "ipv6": ["12345::", "::1%eth0", "1"],
}  # fmt: skip


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_format_takes_what_its_document_says(name: str) -> None:
    validator = compile_schema({"format": name})
    for text in FITTING[name]:
        assert validator.errors(text) == [], text
    for text in OTHERS[name]:
        assert validator.errors(text), text
    assert validator.errors(12) == []


def test_any_other_format_is_a_remark() -> None:
    assert compile_schema({"format": "credit-card"}).errors("x") == []


@pytest.mark.parametrize("name", list(FORMATS))
def test_no_text_takes_a_format_long(name: str) -> None:
    for text in (
        "a" * 500_000,
        "1" * 500_000,
        "a." * 250_000 + "@" + "a-" * 250_000,
        "12:00:00." + "1" * 500_000,
    ):
        FORMATS[name](text)
