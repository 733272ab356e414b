"""From a request to an event's type and data."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.sources.content import DEFAULT_TYPE, check_template, event_data, event_type
from hub.webhooks.matching import check_event_type

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def data_of(headers: dict[str, str], body: bytes, query: str = "") -> str:
    return event_data(headers, query, body, max_bytes=10_000, max_depth=8)


@pytest.mark.parametrize(
    ("template", "provider_type", "made"),
    [
        (DEFAULT_TYPE, "orders/create", "shop.orders.create"),
        (DEFAULT_TYPE, "PAYMENT.CAPTURE", "shop.PAYMENT.CAPTURE"),
        (DEFAULT_TYPE, None, "shop.received"),
        (DEFAULT_TYPE, "", "shop.received"),
        (DEFAULT_TYPE, "é", "shop.received"),
        ("paid", "orders/create", "paid"),
        ("in.{provider_type}", "{name}", "in.name"),
        ("{name}", "x", "shop"),
    ],
)
def test_the_type_is_made_by_the_template(template: str, provider_type: str | None, made: str) -> None:
    assert event_type(template, "shop", provider_type) == made


@given(st.text(max_size=400) | st.none())
def test_whatever_the_provider_says_the_type_is_valid(provider_type: str | None) -> None:
    check_event_type(event_type(DEFAULT_TYPE, "s" * 64, provider_type), field="type")


@pytest.mark.parametrize("template", ["{who}.x", "{}", "a b", "{name}..x", ".x", "x.", "a{", "{name.upper}"])
def test_a_template_that_makes_no_type_is_refused(template: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_template(template, "shop")
    assert [fault.path for fault in caught.value.fields] == ["event_type"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"b": 1, "a": 10000000000000000000000000001, "a2": 1.10}',
        b" [1]\n",
        b'"x"',
        b"null",
        '{"ü": 1}'.encode(),
    ],
)
@pytest.mark.parametrize("headers", [JSON, {"content-type": "text/plain"}, {}])
def test_json_goes_out_byte_for_byte_whatever_it_is_called(headers: dict[str, str], body: bytes) -> None:
    assert data_of(headers, body).encode() == body


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"a=1&b=%C3%BC+x&c=", {"a": "1", "b": "ü x", "c": ""}),
        (b"a=1&a=2&a=3&b=4", {"a": ["1", "2", "3"], "b": "4"}),
        (b"a=%00&%00=1", {"a": "\ufffd", "\ufffd": "1"}),
    ],
)
def test_a_form_becomes_an_object(body: bytes, fields: dict[str, object]) -> None:
    assert json.loads(data_of(FORM, body)) == fields


def test_a_request_without_a_body_is_told_by_its_query() -> None:
    assert json.loads(data_of({}, b"", "user=7&state=ok")) == {"user": "7", "state": "ok"}
    assert data_of({}, b"") == "{}"


@pytest.mark.parametrize(
    "body",
    [
        b"<xml/>", b"\xff\xfe", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": "\\u0000"}', b"[" * 9 + b"]" * 9,
        b'"' + b"a" * 10_000 + b'"',
    ],
)  # fmt: skip
def test_what_is_no_strict_json_is_wrapped_and_loses_nothing(body: bytes) -> None:
    made = json.loads(data_of({"content-type": "text/xml"}, body))
    assert made["content_type"] == "text/xml"
    assert base64.b64decode(made["base64"]) == body


def test_a_form_that_nobody_means_is_wrapped() -> None:
    body = b"&".join(b"a=%d" % n for n in range(1_001))
    assert "base64" in json.loads(data_of(FORM, body))
