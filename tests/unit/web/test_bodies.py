from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid, Malformed, TooLarge
from hub.web.bodies import parse_strict

DEPTH = 8


def parse(raw: bytes) -> Any:
    return parse_strict(raw, max_bytes=10_000, max_depth=DEPTH)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_whatever_json_writes_is_read_back(value: Any, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_strict(raw, max_bytes=100_000, max_depth=64) == value


@pytest.mark.parametrize(
    ("raw", "path", "place"),
    [
        (b"", "", "empty"),
        (b" \n", "", "empty"),
        (b"{", "", "line 1 column 2"),
        (b'{"a": 1,\n "b" 2}', "", "line 2 column 6"),
        (b"[] x", "", "line 1 column 4"),
        (b"\xef\xbb\xbf{}", "", "line 1 column 1"),
        (b'{"a": "\xff"}', "", "byte 7"),
        (b"[NaN]", "", "NaN"),
        (b"-Infinity", "", "-Infinity"),
        (b'{"a": -1e999}', "", "range of a double"),
        (b"1" * 5000, "", "4300 digits"),
        (b'{"a": 1, "a": 1}', "a", "line 1 column 10"),
        (b'{"a": 1, "\\u0061": 1}', "a", "line 1 column 10"),
        (b'[{"x": 1}, {"b": [0, {"k": 1,\n"k": {}}]}]', "1.b.1.k", "line 2 column 1"),
        (b'{"a": {"b": "}]{["}, "c": [[], {"a": ",", "b": 1}], "c": 1}', "c", "column 53"),
    ],
)
def test_what_cannot_be_read_one_way_only_is_malformed_and_says_where(
    raw: bytes, path: str, place: str
) -> None:
    with pytest.raises(Malformed) as caught:
        parse(raw)
    assert place in caught.value.detail
    assert caught.value.fields[0].path == path


def test_equal_keys_in_different_objects_are_no_duplicates() -> None:
    assert parse(b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}')["b"][1] == {"a": 2}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'"\\u0000"', ""),
        (b'{"a": ["x", "y\\u0000"]}', "a.1"),
        (b'{"a": {"b\\u0000": 1}}', "a"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"a": "\\uDFFF\\uD800"}', "a"),
    ],
)
def test_text_that_postgres_cannot_store_is_refused_with_its_field(raw: bytes, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(raw)
    assert caught.value.status == 422
    assert caught.value.fields[0].path == path


def test_what_only_looks_like_a_bad_escape_is_text() -> None:
    assert parse(b'["\\ud83d\\ude00", "\\\\ud800", "\\\\u0000"]') == ["\U0001f600", "\\ud800", "\\u0000"]


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_capped_exactly(opening: bytes, closing: bytes) -> None:
    parse(opening * DEPTH + b"1" + closing * DEPTH)
    with pytest.raises(TooLarge):
        parse(opening * (DEPTH + 1) + b"1" + closing * (DEPTH + 1))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(parse(b"[" + b",".join([b"[]"] * 1000) + b', "[[[[[[[[[["]')) == 1001


def test_a_depth_that_would_end_the_parser_is_too_large() -> None:
    with pytest.raises(TooLarge):
        parse_strict(b"[" * 500_000, max_bytes=1_000_000, max_depth=64)


def test_size_is_capped_exactly() -> None:
    parse(b'"' + b"a" * 9_998 + b'"')
    with pytest.raises(TooLarge):
        parse(b'"' + b"a" * 9_999 + b'"')
