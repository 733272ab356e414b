"""Reading ids and types out of requests, and providers' types into our form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sources.verification import normalise_event_type
from hub.sources.verifiers.payload import Extraction, form_fields, query_value, value_at
from hub.webhooks.matching import check_event_type
from tests.unit.sources.vendor_requests import request


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("invoice.paid", "invoice.paid"),
        ("orders/create", "orders.create"),
        ("Push Hook", "Push.Hook"),
        ("PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.COMPLETED"),
        ("zen:event-type:user.created", "zen.event-type.user.created"),
        ("envelope-completed", "envelope-completed"),
        ("a..b", "a..b".replace("..", ".")),
        ("/a//b/", "a.b"),
        ("caf\u00e9", "caf"),
        ("\u2603", None),
        ("", None),
        ("...", None),
        (None, None),
        ("a" * 128, "a" * 128),
        ("a" * 129, None),
    ],
)
def test_types_become_dotted_words(theirs: str | None, ours: str | None) -> None:
    assert normalise_event_type(theirs) == ours


@given(st.text())
def test_every_type_that_comes_out_is_one_that_may_be_published(theirs: str) -> None:
    ours = normalise_event_type(theirs)
    if ours is not None:
        assert check_event_type(ours, field="type") == ours


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1),
        ("a.c.0.d", "x"),
        ("a.c.1", None),
        ("a.c.x", None),
        ("a.b.c", None),
        ("z", None),
        ("a.c.-1", None),
        ("a.c.\u00b2", None),
    ],
)
def test_a_place_in_the_body_is_found_or_none(path: str, value: object) -> None:
    assert value_at({"a": {"b": 1, "c": [{"d": "x"}]}}, path) == value


@pytest.mark.parametrize(
    ("body", "event_id"),
    [
        (b'{"id":"e-1"}', "e-1"),
        (b'{"id":7}', "7"),
        (b'{"id":true}', None),
        (b'{"id":""}', None),
        (b'{"id":["e"]}', None),
        (b'{"id":"a b"}', None),
        (b'{"id":"\xc3\xa9"}', None),
        (b'{"id":"' + b"a" * 256 + b'"}', None),
        (b"not json", None),
    ],
)
def test_an_id_that_cannot_be_kept_is_none(body: bytes, event_id: str | None) -> None:
    assert Extraction(id_paths=("id",)).read(request({}, body))[0] == event_id


def test_the_first_place_that_has_a_value_wins() -> None:
    extraction = Extraction(
        id_headers=("x-b", "x-a"), id_paths=("id",), type_paths=("t", "u"), type_suffix_path="s"
    )
    received = request({"x-a": "header"}, b'{"id":"body","u":"issue","s":"opened"}')
    assert extraction.read(received) == ("header", "issue.opened")
    assert extraction.read(request({}, b'{"id":"body","s":"opened"}')) == ("body", None)


def test_form_fields_are_the_bytes_that_were_meant() -> None:
    assert form_fields(b"a=%C3%A9&b=+%2B&c=&%ff=\xfe") == [
        (b"a", b"\xc3\xa9"),
        (b"b", b" +"),
        (b"c", b""),
        (b"\xff", b"\xfe"),
    ]
    assert form_fields(b"&".join([b"a=1"] * 1_001)) is None


def test_query_values_are_decoded_and_the_first_counts() -> None:
    assert query_value("a=1&b=x%20y+z&b=2", "b") == "x y z"
    assert query_value("a=1", "b") is None
    assert query_value("&".join(["a=1"] * 1_001), "a") is None
