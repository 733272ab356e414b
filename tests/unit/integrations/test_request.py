from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.integrations.request import Operation, Request, build, template_faults

BASE = "https://api.example.com/v2"
OPERATIONS = {
    "get": Operation.of({"method": "GET", "path": "/users/{id}/files/{name}"}),
    "pair": Operation.of({"method": "GET", "path": "/x/{a}{b}/y"}),
    "post": Operation.of(
        {"method": "POST", "path": "/users", "query": {"v": 1, "w": "a"}, "headers": {"X-A": "operation"}}
    ),
    "search": Operation.of({"method": "POST", "path": "/search", "safe": True}),
}


def make(operation: str, value: Any, headers: dict[str, str] | None = None) -> Request:
    return build(BASE, headers or {}, OPERATIONS, operation, value)


def fault_paths(operation: str, value: Any) -> set[str]:
    with pytest.raises(Invalid) as caught:
        make(operation, value)
    return {field.path for field in caught.value.fields}


scalar = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            ".",
            "..",
            "../..",
            "a/../b",
            "..\\x",
            "%2e%2e",
            "/",
            "//evil.com",
            "?x=1",
            "#f",
            "@evil.com",
            "\r\nX: y",
        ]
    ),
    st.integers(),
    st.booleans(),
)


@given(scalar, scalar)
def test_a_parameter_fills_its_hole_and_nothing_else(one: Any, other: Any) -> None:
    try:
        request = make("get", {"path": {"id": one, "name": other}})
    except Invalid:
        return
    parts = urlsplit(request.url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "api.example.com", "", "")
    segments = parts.path.split("/")
    assert (segments[:3], segments[4], len(segments)) == (["", "v2", "users"], "files", 6)
    text = {True: "true", False: "false"}
    expected = [text[v] if isinstance(v, bool) else str(v) for v in (one, other)]
    assert [unquote(segments[3]), unquote(segments[5])] == expected
    assert not {".", "..", ""} & set(segments[3:])


@given(st.text(max_size=40))
def test_a_free_path_stays_on_the_host_and_below_the_base(text: str) -> None:
    try:
        request = make("request", {"path": f"/{text}"})
    except Invalid:
        return
    parts = urlsplit(request.url)
    assert parts.netloc == "api.example.com"
    assert parts.path.startswith("/v2/")
    assert not {".", ".."} & set(unquote(parts.path).split("/"))
    assert parts.query == ""
    assert parts.fragment == ""
    assert request.url.isascii()


@pytest.mark.parametrize("value", [".", "..", "a/..", "..\\b", "", None, [], {}])
def test_values_that_could_leave_the_template_are_refused(value: Any) -> None:
    assert fault_paths("get", {"path": {"id": value, "name": "x"}}) == {"input.path.id"}


def test_parameters_that_only_together_make_a_dot_segment_are_refused() -> None:
    assert "input.path.a" in fault_paths("pair", {"path": {"a": ".", "b": "."}})


def test_every_fault_is_named() -> None:
    value = {
        "path": {"id": "", "other": 1},
        "query": {"a": {"b": 1}},
        "headers": {"Host": "x", "X-Number": 3, "Cookie": "a=b", "X-Split": "a\r\nb"},
        "colour": "blue",
    }
    assert fault_paths("get", value) == {
        "input.path.id",
        "input.path.name",
        "input.path.other",
        "input.query.a",
        "input.headers.Host",
        "input.headers.X-Number",
        "input.headers.Cookie",
        "input.headers.X-Split",
        "input.colour",
    }


@pytest.mark.parametrize("value", [None, 3, "x", []])
def test_an_input_is_an_object(value: Any) -> None:
    assert fault_paths("get", value) == {"input"}


def test_an_unknown_operation_names_those_that_exist() -> None:
    with pytest.raises(Invalid, match="get, pair, post, request, search"):
        make("delete", {})


def test_the_more_special_value_wins() -> None:
    request = make(
        "post", {"query": {"v": 2}, "headers": {"x-a": "input"}}, {"X-A": "integration", "X-B": "integration"}
    )
    assert request.headers == {"x-a": "input", "X-B": "integration"}
    assert request.url == f"{BASE}/users?v=2&w=a"
    assert make("post", {"query": {"v": None}}).url == f"{BASE}/users?w=a"


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ({"a": "ü"}, None, '{"a":"ü"}'),
        ("text", None, '"text"'),
        (0, None, "0"),
        (False, "application/problem+json; charset=utf-8", "false"),
        ("a,b", "text/csv", "a,b"),
        ({"a": [1, True], "b": "x y"}, "application/x-www-form-urlencoded", "a=1&a=true&b=x+y"),
    ],
)
def test_a_body_is_json_unless_its_type_says_otherwise(body: Any, kind: str | None, sent: str) -> None:
    headers = {} if kind is None else {"content-type": kind}
    request = make("post", {"body": body, "headers": headers})
    assert request.body == sent.encode()
    assert len([name for name in request.headers if name.lower() == "content-type"]) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [({"a": 1}, "text/plain"), ([1], "application/x-www-form-urlencoded"), ("\ud800", "text/plain")],
)
def test_a_body_that_cannot_be_sent_is_a_fault(body: Any, kind: str) -> None:
    assert fault_paths("post", {"body": body, "headers": {"Content-Type": kind}}) == {"input.body"}


def test_without_a_body_nothing_is_sent() -> None:
    request = make("post", {})
    assert request.body is None
    assert "Content-Type" not in request.headers


@pytest.mark.parametrize(
    ("stored", "safe", "idempotent"),
    [
        ({"method": "GET"}, True, True),
        ({"method": "PUT"}, False, True),
        ({"method": "DELETE"}, False, True),
        ({"method": "POST"}, False, False),
        ({"method": "PATCH"}, False, False),
        ({"method": "POST", "safe": True}, True, True),
        ({"method": "POST", "idempotent": True}, False, True),
        ({"method": "GET", "idempotent": False}, True, False),
    ],
)
def test_flags_follow_the_method_unless_they_are_set(
    stored: dict[str, Any], safe: bool, idempotent: bool
) -> None:
    operation = Operation.of({"path": "/", **stored})
    assert (operation.safe, operation.idempotent) == (safe, idempotent)


@pytest.mark.parametrize(
    "path",
    ["x", "", "/a b", "/a?b", "/a#b", "/a\\b", "/../a", "/a/%2e%2e/b", "/{a}/{a}", "/{1}", "/{a", "/é"],
)
def test_bad_templates_are_refused(path: str) -> None:
    assert template_faults(path)


@pytest.mark.parametrize("path", ["/", "/a/b.c", "/{a}/{b}:{c}", "/a%20b", "/..a/b..", "/a//b"])
def test_good_templates_pass(path: str) -> None:
    assert not template_faults(path)
