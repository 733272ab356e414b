"""A service with lists that come in pages of three, in each of the ways that services do it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

from tests.integration.integrations.transports.conformance import LARGE_BYTES

TOKEN = "canary-rest-token-0123456789"
ITEMS = [f'{{"id":"i{number}","price":{number}.10}}' for number in range(8)]
#: All of them, as they travel: the digits of a number must not change on the way.
JOINED = f"[{','.join(ITEMS)}]".encode()
_SIZE = 3

Answer = tuple[str, dict[str, str], bytes]


class ListService:
    """A WSGI application.

    Attributes:
        asked: path and query of every request.
        bodies: of every request.
        keys: the header Idempotency-Key of every request; empty when there was none.
        answers: path → what it answers in place of a list.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Callable[[dict[str, str]], Answer]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.asked.append(f"{path}?{query}" if query else path)
        self.bodies.append(body)
        self.keys.append(environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        self.headers.append({name: str(value) for name, value in environ.items() if name.startswith("HTTP_")})
        values = {name: found[0] for name, found in parse_qs(query).items()}
        if path in self.answers:
            status, headers, content = self.answers[path](values)
        else:
            origin = f"http://{environ['HTTP_HOST']}"
            status, headers, content = _answer(path, values, body, origin, environ)
        start_response(status, [*headers.items(), ("Content-Length", str(len(content)))])
        return iter([content])


def json_answer(value: str, **headers: str) -> Answer:
    return (
        "200 OK",
        {"Content-Type": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()},
        value.encode(),
    )


def _answer(path: str, query: dict[str, str], body: bytes, origin: str, environ: dict[str, Any]) -> Answer:
    if path.startswith("/secured/"):
        if environ.get("HTTP_AUTHORIZATION") != f"Bearer {TOKEN}":
            return "401 Unauthorized", {"Content-Type": "text/plain"}, b"no"
        size = LARGE_BYTES + 1 if path.endswith("/large") else 5
        return "200 OK", {"Content-Type": "text/plain"}, b"x" * size
    if path.startswith("/status/"):
        return f"{path[8:]} Status", {"Content-Type": "application/json"}, b'{"ok":true}'
    listed = _LISTS.get(path)
    if listed is None:
        return "404 Not Found", {}, b""
    return listed(query, body, origin)


def _page(start: int) -> tuple[str, int | None]:
    """Items from there as JSON, and where the next page begins."""
    following = start + _SIZE
    return ",".join(ITEMS[start:following]), following if following < len(ITEMS) else None


def _cursor(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, following = _page(int(query.get("after", "c0")[1:]))
    after = "null" if following is None else f'"c{following}"'
    return json_answer(f'{{"data":{{"items":[{items}]}},"meta":{{"next":{after}}}}}')


def _stripe(query: dict[str, str], body: bytes, origin: str) -> Answer:
    start = int(query["starting_after"][1:]) + 1 if "starting_after" in query else 0
    items, following = _page(start)
    more = "false" if following is None else "true"
    return json_answer(f'{{"object":"list","data":[{items}],"has_more":{more}}}')


def _in_body(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, following = _page(json.loads(body or b"{}").get("after") or 0)
    after = "" if following is None else f',"after":{following}'
    return json_answer(f'{{"results":[{items}]{after}}}')


def _header(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, following = _page(int(query.get("page", "0")))
    headers = {} if following is None else {"X_Next_Page": str(following)}
    return json_answer(f"[{items}]", **headers)


def _link(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, following = _page(int(query.get("from", "0")))
    first = f'<{origin}/link?from=0>; rel="first"'
    following_link = f'</link?from={following}>; title="a, b; rel=x"; rel="last next"'
    return json_answer(f"[{items}]", Link=first if following is None else f"{first}, {following_link}")


def _number(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, _ = _page((int(query.get("page", "1")) - 1) * _SIZE)
    return json_answer(f'{{"items":[{items}],"pages":3}}')


def _offset(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, _ = _page(int(query.get("skip", "0")))
    return json_answer(f'{{"items":[{items}],"total":{len(ITEMS)}}}')


def _next_url(query: dict[str, str], body: bytes, origin: str) -> Answer:
    items, following = _page(int(query.get("$skip", "0")))
    at = f'"{origin}/next?$skip={following}&key={query.get("key", "")}&q=a%20b"'
    content = f'{{"value":[{items}]' + ("" if following is None else f',"@odata.nextLink":{at}') + "}"
    return ("200 OK", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, _gzipped(content))


def _gzipped(text: str) -> bytes:
    return gzip.compress(text.encode())


_LISTS: dict[str, Callable[[dict[str, str], bytes, str], Answer]] = {
    "/cursor": _cursor,
    "/stripe": _stripe,
    "/body": _in_body,
    "/header": _header,
    "/link": _link,
    "/number": _number,
    "/offset": _offset,
    "/next": _next_url,
}
