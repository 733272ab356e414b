"""From an operation and its input to the request that goes out. Pure, used alike to accept, to run and to test.

Promises: every fault of an input is named, with its path; the host is always the integration's, and the path stays
below its base path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports import inputs
from hub.integrations.transports.http import bodies, headers, parameters, paths
from hub.integrations.transports.http.forms import FREE, METHODS, RestOperation, is_idempotent, is_safe
from hub.integrations.transports.interface import Prepared
from hub.net.url import MAX_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.interface import Connection

#: The operation that every integration has: the input says method and path.
FREE_OPERATION = "request"

_PARTS = ("body", "headers", "path", "query")
_FREE_PARTS = (*_PARTS, "method")
_LIST_PARTS = (*_PARTS, "paginate", "max_pages")


@dataclass(frozen=True, slots=True)
class Wire:
    """What `send` needs beside the request itself.

    Args:
        body: the bytes; None for none.
        value: what the body was made of; a page's cursor may have its place there.
        operation: says what a success is, how a key is sent, how a list goes on.
        pages: how many to read; 0 when the answer is taken as it comes.
    """

    body: bytes | None
    value: Any
    operation: RestOperation
    pages: int


def prepare(connection: Connection, operation: str, given: Any, field: str) -> Prepared:
    """Make the request of one execution.

    Args:
        connection: where to.
        operation: its name.
        given: the input: an object with `path`, `query`, `headers` and `body`; `method` for the free operation;
            `paginate` and `max_pages` for a list that comes in pages.
        field: where the input stands in the caller's body, for errors.

    Raises:
        Invalid: with one field for every fault.
    """
    faults: list[FieldError] = []
    if operation == FREE_OPERATION:
        found = FREE
        given = inputs.parts_of(given, _FREE_PARTS, field, faults)
        method = given.get("method", "GET")
        if method not in METHODS:
            faults.append(FieldError(f"{field}.method", f"must be one of {', '.join(METHODS)}"))
        path = paths.free(given.get("path", "/"), f"{field}.path", faults)
    else:
        found = inputs.operation_of(connection, operation, FREE_OPERATION)
        known = _PARTS if found.pagination is None else _LIST_PARTS
        given = inputs.parts_of(given, known, field, faults)
        method = found.method
        path = paths.fill(found.path, given.get("path"), f"{field}.path", faults)
    pages = 0 if found.pagination is None else _pages(found.pagination.max_pages, given, field, faults)
    values = {**found.query, **inputs.object_at(given, "query", field, faults)}
    body = _sized(found, values, given.get("body"))
    query = parameters.encode(values, found.arrays, found.objects, f"{field}.query", faults) if values else ""
    sent = headers.merge(
        connection.headers,
        found.headers,
        inputs.object_at(given, "headers", field, faults),
        f"{field}.headers",
        faults,
    )
    if found.accept and headers.lookup(sent, "accept") is None:
        sent["Accept"] = found.accept
    content = bodies.encode(found, body, sent, f"{field}.body", faults)
    if faults:
        raise Invalid.of(faults)
    url = f"{connection.base_url}{path}?{query}" if query else connection.base_url + path
    if len(url) > MAX_CHARACTERS:
        text = f"makes an address of {len(url)} characters; it may have {MAX_CHARACTERS}"
        raise Invalid.of([FieldError(f"{field}.query" if query else f"{field}.path", text)])
    return Prepared(
        method=method,
        endpoint=url,
        headers=sent,
        payload=body,
        safe=is_safe(found, method),
        idempotent=is_idempotent(found, method),
        wire=Wire(content, body, found, pages),
    )


def _pages(most: int, given: Mapping[str, Any], field: str, faults: list[FieldError]) -> int:
    """How many pages this call reads."""
    paginate, pages = given.get("paginate", True), given.get("max_pages", most)
    if not isinstance(paginate, bool):
        faults.append(FieldError(f"{field}.paginate", "must be true or false"))
    if isinstance(pages, bool) or not isinstance(pages, int) or not 1 <= pages <= most:
        faults.append(FieldError(f"{field}.max_pages", f"must be a whole number from 1 to {most}"))
        return 0
    return pages if paginate else 0


def _sized(operation: RestOperation, query: dict[str, Any], body: Any) -> Any:
    """The body, with the size of a page in it or in the query, where the input does not say it."""
    form = operation.pagination
    if form is None or not form.size_parameter:
        return body
    if form.parameter_in == "query":
        query.setdefault(form.size_parameter, form.page_size)
        return body
    if body is None or isinstance(body, dict):
        return {form.size_parameter: form.page_size, **(body or {})}
    return body
