"""Signing a request that another client sends."""

from __future__ import annotations

from typing import Any

import pytest

from hub.net.signed import NotSignedError, signed


def test_headers_and_query_of_an_authentication_object_come_back() -> None:
    def sign(request: Any) -> Any:
        request.headers["Authorization"] = b"Bearer x"
        request.url += "&key=1"
        return request

    result = signed("GET", "https://service.example.com/a?b=1", {"X-Own": "2"}, sign)
    assert result.url == "https://service.example.com/a?b=1&key=1"
    assert result.headers["Authorization"] == "Bearer x"
    assert result.headers["X-Own"] == "2"


def test_without_an_object_the_request_stays_as_it_is() -> None:
    result = signed("POST", "http://127.0.0.1:50051/pkg.Service/Method", {}, None)
    assert result.url == "http://127.0.0.1:50051/pkg.Service/Method"


def test_what_an_object_raises_is_told_without_its_text() -> None:
    def broken(_: Any) -> Any:
        raise ValueError("canary-secret")

    with pytest.raises(NotSignedError, match="ValueError") as caught:
        signed("GET", "https://service.example.com/", {}, broken)
    assert "canary" not in str(caught.value)


def test_a_header_that_would_split_the_request_is_refused() -> None:
    with pytest.raises(NotSignedError):
        signed("GET", "https://service.example.com/", {"X-Own": "a\r\nb: c"}, None)
