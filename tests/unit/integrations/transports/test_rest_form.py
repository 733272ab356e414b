from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hub.integrations.transports.http import RestTransport

TRANSPORT = RestTransport()


def faults(**form: Any) -> set[str]:
    found = TRANSPORT.operation_faults(TRANSPORT.operation_form(**form), None, "operations.x")
    return {fault.path.removeprefix("operations.x.") for fault in found}


def pages(**form: Any) -> set[str]:
    return {path.removeprefix("pagination.") for path in faults(pagination=form)}


def test_an_operation_that_says_nothing_is_right() -> None:
    assert not faults()


def test_every_fault_of_an_operation_is_named() -> None:
    assert faults(
        path="/../a",
        query={"a": {"b": 1}},
        headers={"Authorization": "x", "Host": "y"},
        accept="a\nb",
        idempotency_key="Content-Length",
        pagination={"kind": "cursor"},
    ) == {
        "path",
        "query.a",
        "headers.Authorization",
        "headers.Host",
        "accept",
        "idempotency_key",
        "pagination.cursor",
        "pagination.parameter",
    }


def test_styles_are_applied_to_the_defaults() -> None:
    assert not faults(query={"a": {"b": 1}}, objects="brackets")
    assert faults(query={"a": ["b,c"]}, arrays="comma") == {"query.a"}


@pytest.mark.parametrize("key", ["a b", "Authorization", "Cookie", "webhook-id", "Host"])
def test_a_key_travels_in_a_header_that_may_be_set(key: str) -> None:
    assert faults(idempotency_key=key) == {"idempotency_key"}
    assert not faults(idempotency_key="Idempotency-Key")


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "cursor", "items": "data", "cursor": "data.-1.id", "parameter": "starting_after"},
        {"kind": "cursor", "cursor": "header:X-Next", "parameter": "after", "parameter_in": "body"},
        {"kind": "link"},
        {"kind": "link", "size_parameter": "per_page", "page_size": 100},
        {"kind": "page", "parameter": "page", "first": 0, "total": "pages"},
        {"kind": "offset", "parameter": "skip", "total": "total", "more": "more"},
        {"kind": "next_url", "items": "value", "cursor": "@odata.nextLink"},
    ],
    ids=lambda form: form["kind"],
)
def test_every_kind_of_pages_has_a_right_form(form: dict[str, Any]) -> None:
    assert pages(**form) == set()


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"kind": "cursor", "cursor": "a", "parameter": "b", "total": "c"}, {"total"}),
        ({"kind": "cursor", "cursor": "header:a b", "parameter": "b"}, {"cursor"}),
        ({"kind": "cursor", "cursor": "header:", "parameter": "b"}, {"cursor"}),
        ({"kind": "page"}, {"parameter"}),
        ({"kind": "page", "parameter": "p", "cursor": "c"}, {"cursor"}),
        ({"kind": "offset", "parameter": "p", "first": 1}, {"first"}),
        ({"kind": "next_url"}, {"cursor"}),
        ({"kind": "link", "parameter": "p"}, {"parameter"}),
        ({"kind": "link", "page_size": 3}, {"size_parameter"}),
        ({"kind": "link", "size_parameter": "n"}, {"page_size"}),
    ],
)
def test_what_is_missing_or_has_no_meaning_is_a_fault(form: dict[str, Any], wrong: set[str]) -> None:
    assert pages(**form) == wrong


def test_pages_need_an_answer_and_a_place_for_the_cursor() -> None:
    cursor = {"kind": "cursor", "cursor": "a", "parameter": "b", "parameter_in": "body"}
    assert faults(method="HEAD", pagination={"kind": "link"}) == {"pagination"}
    assert faults(method="POST", body_type="form", pagination=cursor) == {"pagination.parameter_in"}
    assert not faults(method="POST", body_type="json", pagination=cursor)


@pytest.mark.parametrize(
    "form",
    [
        {"method": "TRACE"},
        {"success": [99]},
        {"success": ["1xx"]},
        {"arrays": "dots"},
        {"pagination": {"kind": "link", "max_pages": 1001}},
        {"pagination": {"kind": "link", "max_pages": 0}},
        {"colour": "blue"},
    ],
)
def test_a_wrong_form_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TRANSPORT.operation_form(**form)
