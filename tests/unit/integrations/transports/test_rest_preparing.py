from __future__ import annotations

import json
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from hub.core.errors import Invalid
from hub.integrations.transports.http import RestTransport
from hub.integrations.transports.http.paths import template_faults
from hub.integrations.transports.interface import Connection, NoSettings, Prepared

TRANSPORT = RestTransport()
BASE = "https://api.example.com/v2"
OPERATIONS: dict[str, dict[str, Any]] = {
    "get": {"method": "GET", "path": "/users/{id}/files/{name}"},
    "pair": {"method": "GET", "path": "/x/{a}.{b}/y"},
    "post": {
        "method": "POST",
        "path": "/users",
        "query": {"v": 1, "w": "a"},
        "headers": {"X-A": "operation"},
        "accept": "application/json",
    },
    "search": {"method": "POST", "path": "/search", "safe": True},
    "charge": {"method": "POST", "path": "/charges", "idempotency_key": "Idempotency-Key"},
    "list": {
        "pagination": {
            "kind": "cursor",
            "cursor": "next",
            "parameter": "after",
            "size_parameter": "limit",
            "page_size": 50,
            "max_pages": 7,
        }
    },
}


def connection(
    operations: dict[str, dict[str, Any]] = OPERATIONS, headers: dict[str, str] | None = None
) -> Connection:
    return Connection(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        base_url=BASE,
        headers=headers or {},
        settings=NoSettings(),
        operations={name: TRANSPORT.operation_form(**form) for name, form in operations.items()},
        follow_redirects=0,
        tls=None,
        pool_key="key",
    )


CONNECTION = connection()


def make(operation: str, value: Any, **form: Any) -> Prepared:
    """With a form, of an operation of its own."""
    where = connection({operation: {"method": "POST", **form}}) if form else CONNECTION
    return TRANSPORT.prepare(where, operation, value)


def fault_paths(operation: str, value: Any, **form: Any) -> set[str]:
    with pytest.raises(Invalid) as caught:
        make(operation, value, **form)
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
        prepared = make("get", {"path": {"id": one, "name": other}})
    except Invalid:
        return
    parts = urlsplit(prepared.endpoint)
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
        prepared = make("request", {"path": f"/{text}"})
    except Invalid:
        return
    parts = urlsplit(prepared.endpoint)
    assert parts.netloc == "api.example.com"
    assert parts.path.startswith("/v2/")
    assert not {".", ".."} & set(unquote(parts.path).split("/"))
    assert parts.query == ""
    assert parts.fragment == ""
    assert prepared.endpoint.isascii()


@pytest.mark.parametrize("value", [".", "..", "a/..", "..\\b", "", None, [], {}, float("inf")])
def test_values_that_could_leave_the_template_are_refused(value: Any) -> None:
    assert fault_paths("get", {"path": {"id": value, "name": "x"}}) == {"input.path.id"}


def test_parameters_that_only_together_make_a_dot_segment_are_refused() -> None:
    assert fault_paths("pair", {"path": {"a": "x/", "b": "/z"}}) == {"input.path"}
    assert make("pair", {"path": {"a": "x", "b": "z"}}).endpoint == f"{BASE}/x/x.z/y"


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


@pytest.mark.parametrize("part", ["path", "query", "headers"])
def test_its_parts_are_objects(part: str) -> None:
    assert f"input.{part}" in fault_paths("get", {part: [1]})


def test_an_unknown_operation_names_those_that_exist() -> None:
    with pytest.raises(Invalid, match="charge, get, list, pair, post, request, search") as caught:
        make("delete", {})
    assert [fault.path for fault in caught.value.fields] == ["operation"]


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "get", None, []])
def test_the_free_operation_knows_its_methods(method: Any) -> None:
    assert fault_paths("request", {"method": method}) == {"input.method"}


def test_the_more_special_value_wins() -> None:
    where = connection(headers={"X-A": "integration", "X-B": "integration"})
    prepared = TRANSPORT.prepare(where, "post", {"query": {"v": 2}, "headers": {"x-a": "input"}})
    assert prepared.headers == {"x-a": "input", "X-B": "integration", "Accept": "application/json"}
    assert prepared.endpoint == f"{BASE}/users?v=2&w=a"
    assert make("post", {"query": {"v": None}}).endpoint == f"{BASE}/users?w=a"


def test_an_accept_of_the_input_stays() -> None:
    assert make("post", {"headers": {"accept": "text/csv"}}).headers["accept"] == "text/csv"
    assert "Accept" not in make("post", {"headers": {"accept": "text/csv"}}).headers


def test_an_address_has_a_longest_length() -> None:
    assert fault_paths("post", {"query": {"q": "x" * 8192}}) == {"input.query"}
    assert fault_paths("get", {"path": {"id": "x" * 8192, "name": "x"}}) == {"input.path"}


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ({"a": "ü"}, None, '{"a":"ü"}'),
        ("text", None, '"text"'),
        (0, None, "0"),
        (False, "application/problem+json; charset=utf-8", "false"),
        ("a,b", "text/csv", "a,b"),
        ({"base64": "w7w="}, "image/png", "ü"),
        ({"a": [1, True], "b": "x y"}, "application/x-www-form-urlencoded", "a=1&a=true&b=x+y"),
        ("a=1", "application/x-www-form-urlencoded", "a=1"),
    ],
)
def test_a_body_is_json_unless_its_type_says_otherwise(body: Any, kind: str | None, sent: str) -> None:
    headers = {} if kind is None else {"content-type": kind}
    prepared = make("post", {"body": body, "headers": headers})
    assert prepared.wire.body == sent.encode()
    assert prepared.payload == body
    assert len([name for name in prepared.headers if name.lower() == "content-type"]) == 1


@pytest.mark.parametrize(
    ("body_type", "body", "sent", "kind"),
    [
        ("json", "text", b'"text"', "application/json"),
        ("form", {"a": [1, 2]}, b"a=1&a=2", "application/x-www-form-urlencoded"),
        ("form", "a=1", b"a=1", "application/x-www-form-urlencoded"),
        ("text", "ü", "ü".encode(), "text/plain; charset=utf-8"),
        ("binary", "AAEC", b"\x00\x01\x02", "application/octet-stream"),
        ("binary", "", b"", "application/octet-stream"),
    ],
)
def test_an_operation_says_what_its_body_is(body_type: str, body: Any, sent: bytes, kind: str) -> None:
    prepared = make("own", {"body": body}, body_type=body_type)
    assert prepared.wire.body == sent
    assert prepared.headers == {"Content-Type": kind}
    named = make("own", {"body": body, "headers": {"content-type": "a/b"}}, body_type=body_type)
    assert named.wire.body == sent
    assert named.headers == {"content-type": "a/b"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"a": 1}, "text/plain"),
        ([1], "application/x-www-form-urlencoded"),
        ("\ud800", "text/plain"),
        ({"a": "\ud800"}, "application/json"),
        ({"a": float("nan")}, "application/json"),
        ("x", "multipart/form-data"),
    ],
)
def test_a_body_that_cannot_be_sent_is_a_fault(body: Any, kind: str) -> None:
    assert fault_paths("post", {"body": body, "headers": {"Content-Type": kind}}) == {"input.body"}


@pytest.mark.parametrize("value", ["A", "=", "AA==\n", 3, None, {"base64": "AA=="}])
def test_binary_is_base64(value: Any) -> None:
    if value is None:
        assert make("own", {"body": value}, body_type="binary").wire.body is None
    else:
        assert fault_paths("own", {"body": value}, body_type="binary") == {"input.body"}


def test_without_a_body_nothing_is_sent() -> None:
    prepared = make("post", {})
    assert prepared.wire.body is None
    assert "Content-Type" not in prepared.headers


@pytest.mark.parametrize(
    ("arrays", "query"),
    [
        ("repeat", "a=1&a=x+y&b=true"),
        ("comma", "a=1,x+y&b=true"),
        ("brackets", "a%5B%5D=1&a%5B%5D=x+y&b=true"),
        ("indices", "a%5B0%5D=1&a%5B1%5D=x+y&b=true"),
    ],
)
def test_lists_travel_in_the_style_of_the_service(arrays: str, query: str) -> None:
    value = {"query": {"a": [1, "x y"], "b": True, "c": None, "d": []}}
    assert make("own", value, arrays=arrays).endpoint == f"{BASE}/?{query}"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (["a,b"], {"arrays": "comma"}),
        ([[1]], {"arrays": "comma"}),
        ([None], {}),
        ({"b": 1}, {"arrays": "brackets"}),
        ({"b": "\ud800"}, {"objects": "brackets"}),
        ({"\ud800": "b"}, {"objects": "brackets"}),
        ([{"b": {"c": object()}}], {"objects": "brackets"}),
        (float("inf"), {}),
        (json.loads("[" * 20 + "]" * 20), {"objects": "brackets"}),
    ],
)
def test_values_that_have_no_form_in_a_query_are_faults(value: Any, form: dict[str, Any]) -> None:
    assert fault_paths("own", {"query": {"a": value}}, path="/own", **form) == {"input.query.a"}


def test_a_nested_form_is_what_the_services_own_library_sends() -> None:
    value = {
        "amount": 100,
        "metadata": {"order": "1 & 2", "gift": True},
        "items": [{"price": "p1", "quantity": 2}, {"price": "p2", "tax": ["t1"]}],
        "expand": ["customer", "invoice"],
        "description": "",
    }
    form = {"body_type": "form", "arrays": "indices", "objects": "brackets"}
    sent = make("own", {"body": value}, **form).wire.body.decode()
    theirs = [(name, str(text).replace("True", "true")) for name, text in _api_encode(value)]
    assert parse_qsl(sent, keep_blank_values=True) == theirs


def _parts(prepared: Prepared) -> list[tuple[str | None, str | None, str, bytes]]:
    raw = f"Content-Type: {prepared.headers['Content-Type']}\r\n\r\n".encode() + prepared.wire.body
    found: list[tuple[str | None, str | None, str, bytes]] = []
    for part in message_from_bytes(raw).walk():
        if not part.is_multipart():
            name = part.get_param("name", header="content-disposition")
            content: Any = part.get_payload(decode=True)
            found.append((str(name), part.get_filename(), part.get_content_type(), content))
    return found


def test_a_multipart_body_has_fields_and_files() -> None:
    body = {
        "title": "ü",
        "tags": ["a", "b"],
        "file": {"filename": "a.png", "content_type": "image/png", "base64": "AAEC"},
        "more": [{"filename": "1.txt", "text": "one"}, {"filename": "2.txt", "text": "--hub-\r\n"}],
    }
    prepared = make("own", {"body": body}, body_type="multipart", arrays="brackets")
    assert _parts(prepared) == [
        ("title", None, "text/plain", "ü".encode()),
        ("tags[]", None, "text/plain", b"a"),
        ("tags[]", None, "text/plain", b"b"),
        ("file", "a.png", "image/png", b"\x00\x01\x02"),
        ("more[]", "1.txt", "application/octet-stream", b"one"),
        ("more[]", "2.txt", "application/octet-stream", b"--hub-\r\n"),
    ]
    assert make("own", {"body": body}, body_type="multipart", arrays="brackets") == prepared


def test_a_name_in_a_multipart_body_cannot_add_a_header() -> None:
    name = 'a"\r\nX-Evil: 1'
    body = {name: "v", "f": {"filename": name, "text": ""}}
    sent = make("own", {"body": body}, body_type="multipart").wire.body
    assert b"\r\nX-Evil" not in sent
    assert sent.count(b"a%22%0D%0AX-Evil: 1") == 2


def test_the_content_type_of_the_input_gets_the_boundary() -> None:
    value = {"body": {"a": 1}, "headers": {"content-type": "multipart/form-data; boundary=x"}}
    prepared = make("request", {"method": "POST", **value})
    assert [name.lower() for name in prepared.headers] == ["content-type"]
    assert _parts(prepared) == [("a", None, "text/plain", b"1")]


@pytest.mark.parametrize(
    ("file", "at"),
    [
        ({"filename": "a"}, ""),
        ({"filename": "a", "text": "a", "base64": ""}, ""),
        ({"filename": "a", "text": 1}, ".text"),
        ({"filename": "a", "base64": "?"}, ".base64"),
        ({"filename": "", "text": "a"}, ".filename"),
        ({"filename": 1, "text": "a"}, ".filename"),
        ({"filename": "a", "text": "a", "content_type": "a\r\nb"}, ".content_type"),
        ({"filename": "a", "text": "a", "name": "b"}, ".name"),
        ({"text": "a"}, ""),
        ([{"filename": "a", "text": "b"}, "c"], ""),
    ],
)
def test_the_faults_of_a_file_are_named(file: Any, at: str) -> None:
    assert fault_paths("own", {"body": {"f": file}}, body_type="multipart") == {f"input.body.f{at}"}


@pytest.mark.parametrize(
    ("form", "safe", "idempotent"),
    [
        ({"method": "GET"}, True, True),
        ({"method": "PUT"}, False, True),
        ({"method": "DELETE"}, False, True),
        ({"method": "POST"}, False, False),
        ({"method": "PATCH"}, False, False),
        ({"method": "POST", "safe": True}, True, True),
        ({"method": "POST", "idempotent": True}, False, True),
        ({"method": "GET", "idempotent": False}, True, False),
        ({"method": "POST", "idempotency_key": "X-Key"}, False, True),
        ({"method": "POST", "idempotency_key": "X-Key", "idempotent": False}, False, False),
    ],
)
def test_flags_follow_the_method_and_the_key_unless_they_are_set(
    form: dict[str, Any], safe: bool, idempotent: bool
) -> None:
    prepared = make("own", {}, **form)
    assert (prepared.safe, prepared.idempotent) == (safe, idempotent)


@pytest.mark.parametrize(
    "path",
    ["x", "", "/a b", "/a?b", "/a#b", "/a\\b", "/../a", "/a/%2e%2e/b", "/{a}/{a}", "/{1}", "/{a", "/é"],
)
def test_bad_templates_are_refused(path: str) -> None:
    assert template_faults(path)


@pytest.mark.parametrize("path", ["/", "/a/b.c", "/{a}/{b}:{c}", "/a%20b", "/..a/b..", "/a//b"])
def test_good_templates_pass(path: str) -> None:
    assert not template_faults(path)


@pytest.mark.parametrize(
    ("value", "pages"), [({}, 7), ({"max_pages": 2}, 2), ({"paginate": False}, 0), ({"paginate": True}, 7)]
)
def test_an_input_says_how_many_pages_it_wants(value: dict[str, Any], pages: int) -> None:
    prepared = make("list", value)
    assert prepared.wire.pages == pages
    assert prepared.endpoint == f"{BASE}/?limit=50"


def test_the_inputs_size_of_a_page_wins() -> None:
    assert make("list", {"query": {"limit": 3}}).endpoint == f"{BASE}/?limit=3"


@pytest.mark.parametrize("pages", [0, 8, 1.5, "3", True, None])
def test_a_call_cannot_ask_for_more_pages_than_the_definition_allows(pages: Any) -> None:
    assert fault_paths("list", {"max_pages": pages, "paginate": 1}) == {"input.max_pages", "input.paginate"}


def test_an_operation_without_pages_has_no_such_wishes() -> None:
    assert fault_paths("post", {"paginate": False, "max_pages": 1}) == {"input.paginate", "input.max_pages"}


def test_the_size_of_a_page_has_its_place_in_the_body_too() -> None:
    form = {
        "pagination": {
            "kind": "cursor",
            "cursor": "next",
            "parameter": "after",
            "parameter_in": "body",
            "size_parameter": "limit",
            "page_size": 50,
        }
    }
    assert json.loads(make("own", {"body": {"q": 1}}, **form).wire.body) == {"limit": 50, "q": 1}
    assert json.loads(make("own", {}, **form).wire.body) == {"limit": 50}
