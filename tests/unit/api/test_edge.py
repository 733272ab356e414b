"""The outermost layer around small applications, without a server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from hub.api.body_limit import BodyLimit
from hub.api.edge import Edge
from hub.api.metrics import RequestMetrics

App = Callable[[Any, Any, Any], Awaitable[None]]


def run(
    app: App, *, headers: list[tuple[bytes, bytes]] | None = None, body: list[bytes] | None = None
) -> list[Any]:
    """Call an application once; the messages that it sent."""
    sent: list[Any] = []
    chunks = [b""] if body is None else body

    async def receive() -> Any:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": headers or []}
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return sent


def edge(app: App) -> App:
    return Edge(app, RequestMetrics({}))


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_headers_that_a_handler_chose_are_left_alone() -> None:
    headers = run(edge(answer))[0]["headers"]
    assert [value for name, value in headers if name == b"cache-control"] == [b"max-age=60"]
    assert (b"x-content-type-options", b"nosniff") in headers


def test_an_error_before_the_answer_becomes_a_problem() -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("canary")

    start, body = run(edge(fail))
    assert start["status"] == 500
    assert json.loads(body["body"])["title"] == "Internal error"
    assert b"canary" not in body["body"]


def test_an_error_within_the_answer_cuts_it_off(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("canary")

    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError):
        run(edge(fail))
    assert "while it was being answered" in caplog.text


def test_a_client_that_went_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def leave(scope: Any, receive: Any, send: Any) -> None:
        raise ClientDisconnect

    with caplog.at_level(logging.INFO):
        assert run(edge(leave)) == []
    assert caplog.text == ""


async def read_all(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["more_body"]:
        pass
    await answer(scope, receive, send)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([(b"content-length", b"10")], [b"a" * 10], 200),
        ([(b"content-length", b"11")], [b"a" * 11], 413),
        ([], [b"a" * 5, b"a" * 5], 200),
        ([], [b"a" * 5, b"a" * 6], 413),
    ],
)
def test_the_size_cap_is_exact(headers: list[tuple[bytes, bytes]], body: list[bytes], status: int) -> None:
    assert run(edge(BodyLimit(read_all, 10)), headers=headers, body=body)[0]["status"] == status
