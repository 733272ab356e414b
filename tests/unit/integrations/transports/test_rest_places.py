from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.integrations.transports.http.links import target_of
from hub.integrations.transports.http.places import NotJsonError, array, find, read

DOCUMENT = b"""\xef\xbb\xbf { "a": [1.10, {"b": "x"}, null], "@o.next": "n", "a.0": "whole name", "c": {"d.e": 2},
    "f": false, "big": 12345678901234567890123 } """


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("a.1.b", b'"x"'),
        ("a.-2.b", b'"x"'),
        ("@o.next", b'"n"'),
        ("a.0", b'"whole name"'),
        ("c.d.e", b"2"),
        ("big", b"12345678901234567890123"),
        ("f", b"false"),
        ("a.-3", b"1.10"),
        ("a.3", None),
        ("a.x", None),
        ("a.1.b.c", None),
        ("c.d", None),
        ("z", None),
    ],
)
def test_a_place_leads_to_a_part_as_it_was_written(place: str, found: bytes | None) -> None:
    assert find(DOCUMENT, place) == found


def test_items_are_kept_as_they_were_written() -> None:
    assert array(DOCUMENT, "a") == [b"1.10", b'{"b": "x"}', b"null"]
    assert array(b" [] ", "") == []
    assert array(DOCUMENT, "c") is None
    assert array(DOCUMENT, "z") is None


def test_null_is_read_as_nothing() -> None:
    assert read(DOCUMENT, "a.2") is None
    assert read(DOCUMENT, "a.1") == {"b": "x"}


@pytest.mark.parametrize("text", [b"{", b'{"a":[1,]}', b'{"a":' + b"[" * 100_000, b'{"a" 1}', b"{}x"])
def test_what_is_no_json_is_told(text: bytes) -> None:
    with pytest.raises(NotJsonError):
        array(text, "a")


@pytest.mark.parametrize("text", [b'{"\xe9": [1], "a": [1]}', b'[{"\xe9": 1}]', b'{"a": "\xe9"}'])
def test_what_is_not_utf_8_is_told_as_no_json(text: bytes) -> None:
    with pytest.raises(NotJsonError):
        read(text, "0.x" if text.startswith(b"[") else "a")


@given(
    st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_the_empty_place_is_the_whole_document(value: Any) -> None:
    assert read(json.dumps(value).encode(), "") == value


@given(st.binary(max_size=60), st.sampled_from(["", "a", "a.0", "0.-1"]))
def test_nothing_else_is_ever_raised(text: bytes, place: str) -> None:
    for look in (find, read, array):
        try:
            look(text, place)
        except NotJsonError:
            continue


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("<a>; rel=next", "a"),
        ('<a>; rel="next"', "a"),
        ('<a>; rel="prev", <b>; rel="next"', "b"),
        ("<a>;rel=prev,<b>;rel=NEXT", "b"),
        ('<a>; title="x, <y>; rel=next"; rel=prev, <b>; rel="last next"', "b"),
        ('<a>; title="q\\"; rel=next"; rel=prev', None),
        ("<a>; rel=prev; rel=next", None),
        ('<a>; rel=next; anchor="#x"', None),
        ('<a>; rel="next"; results="true"; cursor="1:2:0"', "a"),
        ("< /b?c=1,2 > ; rel = next", "/b?c=1,2"),
        ("<a>; rel=nextpage", None),
        ("a; rel=next", None),
        ("<a", None),
        ("", None),
        ("<>; rel=next", ""),
    ],
)
def test_the_next_link_is_found(header: str, target: str | None) -> None:
    assert target_of(header, "next") == target


@given(st.text(alphabet='<>;,="\\ relnxt', max_size=200))
def test_any_header_is_read(header: str) -> None:
    found = target_of(header, "next")
    assert found is None or found in header


@pytest.mark.parametrize("piece", ["<a>; rel=x,", '<a>; "', " ", ";", '<a>; a="\\', "<a> ;;", "<", ","])
def test_a_long_header_takes_no_long_time(piece: str) -> None:
    # Twice as long takes twice as long; a test of time would be one of the machine, so this only must end.
    assert target_of(piece * 20_000, "next") is None
