from __future__ import annotations

import json
from typing import Any

import pytest

from hub.integrations.transports.graphql.answer import NotGraphqlError, judged, reply_of
from hub.integrations.transports.graphql.forms import RelayPages
from hub.integrations.transports.graphql.pages import Pages
from hub.net.outcome import ErrorClass, Outcome, classify_status


def judge(
    value: Any, status: int = 200, *, safe: bool = True, single: bool = True, keep: bool = False
) -> Outcome:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    outcome = Outcome(status, classify_status(status), "" if status < 300 else "by status", body=body)
    return judged(outcome, safe=safe, single=single, keep_partial=keep)


def error(message: str = "no", code: str | None = None, **more: Any) -> dict[str, Any]:
    return {"message": message, **({"extensions": {"code": code}} if code else {}), **more}


def test_data_is_a_success_and_stays_as_it_came() -> None:
    body = b'{"data": {"n": 0.1000000000000000000001, "big": 12345678901234567890123}}'
    outcome = judge(body)
    assert outcome.ok
    assert outcome.body == body


def test_errors_without_data_are_the_providers() -> None:
    outcome = judge({"data": None, "errors": [error("It\nbroke", path=["user", "friends", 0]), error()]})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert outcome.message == "The service answered: It broke (at user.friends.0, the first of 2 errors)."


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (error(code="UNAUTHENTICATED"), ErrorClass.UNAUTHORIZED),
        (error(code="THROTTLED"), ErrorClass.RATE_LIMITED),
        (error(code="rate_limited"), ErrorClass.RATE_LIMITED),
        (error(type="RATE_LIMITED"), ErrorClass.RATE_LIMITED),
        (error(code="FORBIDDEN"), ErrorClass.PROVIDER_ERROR),
        (error(extensions="nonsense"), ErrorClass.PROVIDER_ERROR),
        ({"message": 7, "path": 3, "extensions": {"code": 5}}, ErrorClass.PROVIDER_ERROR),
    ],
)
def test_the_providers_code_decides_the_class(one: dict[str, Any], expected: ErrorClass) -> None:
    assert judge({"errors": [one]}).error_class is expected


def test_a_mutation_that_may_be_half_done_is_not_repeated() -> None:
    answer = {"data": None, "errors": [error(code="THROTTLED", path=["second"])]}
    assert judge(answer, safe=False, single=False).error_class is ErrorClass.PROVIDER_ERROR
    assert judge(answer, safe=False, single=True).error_class is ErrorClass.RATE_LIMITED
    assert judge(answer, safe=True, single=False).error_class is ErrorClass.RATE_LIMITED
    before = {"errors": [error(code="THROTTLED")]}
    assert judge(before, safe=False, single=False).error_class is ErrorClass.RATE_LIMITED


def test_data_with_errors_is_what_the_setting_says() -> None:
    answer = {"data": {"a": 1, "b": None}, "errors": [error("b broke", path=["b"])]}
    assert judge(answer).error_class is ErrorClass.PROVIDER_ERROR
    assert "b broke" in judge(answer).message
    kept = judge(answer, keep=True)
    assert kept.ok
    assert json.loads(kept.body) == answer
    assert not judge({"data": None, "errors": [error()]}, keep=True).ok


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"x"',
        b"{}",
        b'{"errors": []}',
        b'{"errors": "x"}',
        b'{"errors": [1]}',
        b"\xff",
        b'{"errors": [{"message": "refus\xe9"}]}',
        b'{"data":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    ],
    ids=range(11),
)
def test_what_is_no_graphql_answer_is_a_protocol_fault(body: bytes) -> None:
    assert judge(body).error_class is ErrorClass.PROTOCOL


def test_a_failure_whose_errors_are_not_utf_8_keeps_its_status() -> None:
    outcome = judge(b'{"errors": [{"message": "refus\xe9"}]}', 400)
    assert (outcome.error_class, outcome.message) == (ErrorClass.HTTP_4XX, "by status")


def test_no_data_and_no_error_is_no_success() -> None:
    assert judge({"data": None}).error_class is ErrorClass.PROVIDER_ERROR


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, None, ErrorClass.HTTP_4XX),
        (400, "UNAUTHENTICATED", ErrorClass.UNAUTHORIZED),
        (500, None, ErrorClass.HTTP_5XX),
        (503, "RATE_LIMITED", ErrorClass.RATE_LIMITED),
    ],
)
def test_a_status_keeps_its_class_and_gets_the_message(
    status: int, code: str | None, expected: ErrorClass
) -> None:
    outcome = judge({"errors": [error("Syntax", code)]}, status)
    assert outcome.error_class is expected
    assert "Syntax" in outcome.message


def test_a_status_without_a_graphql_answer_stays_as_it_is() -> None:
    outcome = judge(b"<html>", 502)
    assert (outcome.error_class, outcome.message) == (ErrorClass.HTTP_5XX, "by status")


def page(items: list[Any], cursor: str | None, *, more: bool, key: str = "nodes") -> bytes:
    info = {"hasNextPage": more, "endCursor": cursor}
    return json.dumps({"data": {"a": {"b": {key: items, "pageInfo": info}, "c": 1}, "d": 2}}).encode()


def walk(answers: list[bytes], max_pages: int = 10) -> tuple[list[str | None], Any]:
    pages = Pages(RelayPages(connection="a.b", max_pages=max_pages))
    cursors = []
    for answer in answers:
        cursors.append(pages.add(reply_of(answer)))
        if cursors[-1] is None:
            break
    return cursors, pages.joined()


def test_pages_become_one_answer_with_the_last_page_info() -> None:
    cursors, joined = walk(
        [page([1, 2], "x", more=True), page([3], "y", more=True), page([], None, more=False)]
    )
    assert cursors == ["x", "y", None]
    assert json.loads(joined) == {
        "data": {
            "a": {"b": {"nodes": [1, 2, 3], "pageInfo": {"hasNextPage": False, "endCursor": None}}, "c": 1},
            "d": 2,
        }
    }


def test_edges_are_joined_too_and_digits_are_kept() -> None:
    first = page([1], "x", more=True, key="edges").replace(b"[1]", b"[0.12345678901234567890123]")
    _, joined = walk([first, page([2], "y", more=False, key="edges")])
    assert b'"edges":[0.12345678901234567890123,2]' in joined


def test_a_repeated_cursor_ends_it_and_says_that_there_is_more() -> None:
    cursors, joined = walk([page([1], "x", more=True), page([2], "x", more=True), page([3], "z", more=True)])
    assert cursors == ["x", None]
    assert json.loads(joined)["data"]["a"]["b"] == {
        "nodes": [1, 2],
        "pageInfo": {"hasNextPage": True, "endCursor": "x"},
    }


def test_the_cap_of_pages_ends_it() -> None:
    cursors, _ = walk([page([1], "x", more=True), page([2], "y", more=True), page([3], "z", more=True)], 2)
    assert cursors == ["x", None]


@pytest.mark.parametrize("data", [{"a": None}, {"a": {"b": None}}], ids=["on the way", "itself"])
def test_a_connection_that_is_null_is_an_answer_as_it_is(data: Any) -> None:
    cursors, joined = walk([json.dumps({"data": data}).encode()])
    assert cursors == [None]
    assert json.loads(joined) == {"data": data}


@pytest.mark.parametrize(
    "data",
    [
        {"x": 1},
        {"a": []},
        {"a": {"b": 1}},
        {"a": {"b": {}}},
        {"a": {"b": {"pageInfo": 1}}},
        {"a": {"b": {"nodes": 1, "pageInfo": {}}}},
    ],
    ids=range(6),
)
def test_no_connection_where_one_should_be_is_a_fault(data: Any) -> None:
    with pytest.raises(NotGraphqlError):
        walk([json.dumps({"data": data}).encode()])


def test_a_cursor_that_is_not_utf_8_is_a_fault() -> None:
    with pytest.raises(NotGraphqlError, match="pageInfo"):
        walk([b'{"data": {"a": {"b": {"nodes": [], "pageInfo": {"endCursor": "\xe9"}}}}}'])
