"""Of credentials that travel elsewhere, a request gets the trace context alone."""

from __future__ import annotations

from typing import Any

import pytest
from requests import Request

from hub.core.secret import Secret
from hub.integrations.auth.api_key import ApiKey
from hub.integrations.auth.bearer import Bearer
from hub.integrations.pipeline.authenticating import Traced
from hub.integrations.transports.trace_context import TraceAlone
from hub.net.session import Auth

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
KEY = {"key": Secret("canary-key")}


def api_key(place: str, name: str) -> ApiKey:
    return ApiKey({"in": place, "name": name, "prefix": ""}, KEY)


def broken(request: Any) -> Any:
    raise RuntimeError(request)


def sent(http: Auth | None, headers: dict[str, str] | None = None) -> tuple[str | None, dict[str, str]]:
    request = TraceAlone(http)(Request("GET", "https://a.test/", headers=headers).prepare())
    return request.url, dict(request.headers)


@pytest.mark.parametrize(
    "http",
    [None, Bearer({}, {"token": Secret("canary-token")}), api_key("query", "key"), api_key("header", "key")],
    ids=["nothing", "bearer", "query", "header"],
)
def test_the_trace_alone_is_added(http: Auth | None) -> None:
    assert sent(Traced(TRACE, http)) == ("https://a.test/", {"traceparent": TRACE})
    assert sent(http) == ("https://a.test/", {})


def test_a_header_of_the_requests_own_goes_before() -> None:
    assert sent(Traced(TRACE, None), {"Traceparent": "own"})[1] == {"Traceparent": "own"}


def test_a_secret_under_the_name_of_the_trace_is_not_sent() -> None:
    assert sent(Traced(TRACE, api_key("header", "traceparent")))[1] == {}


def test_credentials_that_cannot_be_applied_end_no_call() -> None:
    assert sent(Traced(TRACE, broken)) == ("https://a.test/", {})
