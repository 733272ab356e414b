from __future__ import annotations

from typing import Any

import pytest

from hub.net.redirects import NextHop, next_hop

SECRET = {
    "Authorization": "Bearer x",
    "X-Api-Key": "k",
    "Cookie": "c",
    "Accept": "a/b",
    "Content-Type": "t/t",
}


def _hop(**changes: Any) -> NextHop | None:
    given: dict[str, Any] = {
        "status": 302, "location": "/next", "method": "GET", "url": "https://a.example/x", "headers": SECRET,
        "has_body": False,
    }  # fmt: skip
    return next_hop(**(given | changes))


def test_the_same_origin_keeps_headers_and_authentication() -> None:
    hop = _hop()
    assert hop is not None
    assert hop.url == "https://a.example/next"
    assert hop.headers == SECRET
    assert hop.keep_auth


@pytest.mark.parametrize(
    "location", ["https://b.example/", "http://a.example/", "https://a.example:8443/", "//b.example/x"]
)
def test_another_origin_gets_no_credential(location: str) -> None:
    hop = _hop(location=location)
    assert hop is not None
    assert hop.headers == {"Accept": "a/b", "Content-Type": "t/t"}
    assert not hop.keep_auth


def test_an_explicit_default_port_is_the_same_origin() -> None:
    hop = _hop(location="https://A.example:443/z")
    assert hop is not None
    assert hop.keep_auth


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"), (307, "POST", "POST"), (308, "PATCH", "PATCH"), (302, "HEAD", "HEAD"),
    ],
)  # fmt: skip
def test_the_method_follows_rfc_9110(status: int, method: str, after: str) -> None:
    hop = _hop(status=status, method=method, has_body=True)
    assert hop is not None
    assert hop.method == after
    assert hop.keep_body is (after == method)
    assert ("Content-Type" in hop.headers) is (after == method)


def test_a_body_is_not_repeated_at_another_origin() -> None:
    assert _hop(status=307, method="POST", has_body=True, location="https://b.example/") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 200},
        {"status": 304},
        {"status": 300},
        {"location": None},
        {"location": ""},
        {"location": "http://[x"},
    ],
)
def test_any_other_answer_is_the_last_one(changes: dict[str, Any]) -> None:
    assert _hop(**changes) is None
