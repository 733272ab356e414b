from __future__ import annotations

import pytest

from hub.core.errors import Invalid
from hub.net.headers import check_headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Key": "s3cret"},
        {"Authorization": "Bearer a.b-c"},
        {"x!#$%&'*+-.^_`|~9": ""},
        {"A": "a\tb ~"},
    ],
)
def test_ordinary_headers_pass(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Upgrade",
        "Proxy-Authorization", "proxy-connection", "Expect", "Accept-Encoding", "HTTP2-Settings", "webhook-id",
        "Webhook-Signature",
    ],
)  # fmt: skip
def test_a_header_that_the_hub_owns_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_headers({name: "x"}, "endpoint.headers")
    assert caught.value.fields[0].path == f"endpoint.headers.{name}"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a\x00", "a/b", "X-Y\n"])
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "\x00", "ü", "\x7f", "a" * 5000])
def test_a_value_outside_the_grammar_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_headers({"X-Key": value})
    assert value not in caught.value.detail


def test_every_fault_is_listed() -> None:
    with pytest.raises(Invalid) as caught:
        check_headers({"Host": "a\n", "x y": "ok", "A": "1", "a": "2"})
    assert [field.path for field in caught.value.fields] == [
        "headers.Host", "headers.Host", "headers.'x y'", "headers.a",
    ]  # fmt: skip


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 50"):
        check_headers({f"X-{i}": "" for i in range(51)})
