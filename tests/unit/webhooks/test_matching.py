from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.webhooks.matching import check_event_type, is_pattern, matches

words = st.from_regex(re.compile(r"[A-Za-z0-9_-]{1,6}"), fullmatch=True)
types = st.lists(words, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("*", "invoice.paid", True),
        ("*", "ping", True),
        ("invoice.paid", "invoice.paid", True),
        ("invoice.paid", "invoice.paid.late", False),
        ("invoice.paid", "invoice", False),
        ("invoice.paid", "Invoice.paid", False),
        ("invoice.*", "invoice.paid", True),
        ("invoice.*", "invoice.paid.late", True),
        ("invoice.*", "invoice", False),
        ("invoice.*", "invoices.paid", False),
        ("invoice.*", "invoice-x.paid", False),
        ("invoice.paid.*", "invoice.paid", False),
        ("invoice.paid.*", "invoice.paid.late", True),
    ],
)
def test_patterns(pattern: str, event_type: str, expected: bool) -> None:
    assert is_pattern(pattern)
    assert matches((pattern,), event_type) is expected
    assert matches(("other", pattern, "another.*"), event_type) is expected


def test_no_pattern_takes_nothing() -> None:
    assert not matches((), "invoice.paid")


@given(types)
def test_a_type_is_taken_by_itself_by_its_prefixes_and_by_the_star(event_type: str) -> None:
    assert check_event_type(event_type, field="type") == event_type
    assert matches((event_type,), event_type)
    assert matches(("*",), event_type)
    parts = event_type.split(".")
    for n in range(1, len(parts)):
        assert matches((".".join(parts[:n]) + ".*",), event_type)
    assert not matches((event_type + ".*", event_type + ".x", "x" + event_type), event_type)


@given(types, types)
def test_a_prefix_takes_exactly_the_types_below_it(prefix: str, event_type: str) -> None:
    below = event_type.split(".")[: prefix.count(".") + 1] == prefix.split(".") and len(event_type) > len(
        prefix
    )
    assert matches((prefix + ".*",), event_type) is below


@pytest.mark.parametrize(
    "bad", ["", ".", "a.", ".a", "a..b", "a b", "a.b\n", "é", "a*", "*.a", "a.*", "*", "a" * 129, 'a"b']
)
def test_what_is_no_event_type_is_refused_by_field(bad: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_event_type(bad, field="3.type")
    assert [fault.path for fault in caught.value.fields] == ["3.type"]


@pytest.mark.parametrize("bad", ["", ".*", "a.*.b", "a*", "*.*", "**", "a..*", "a.**", "a.*\n", "a" * 129])
def test_what_is_no_pattern(bad: str) -> None:
    assert not is_pattern(bad)
