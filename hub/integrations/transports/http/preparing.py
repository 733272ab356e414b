"""From an operation and its input to the request that goes out. Pure, used alike to accept, to run and to test.

Promises: every fault of an input is named, with its path; the host is always the integration's, and the path stays
below its base path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.http import bodies, headers, parameters, paths
from hub.integrations.transports.http.form import FREE, METHODS, RestOperation, is_idempotent, is_safe
from hub.integrations.transports.interface import Prepared
from hub.net.url import MAX_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.interface import Connection

#: The operation that every integration has: the input says method and path.
FREE_OPERATION = "request"

_PARTS = frozenset({"path", "query", "headers", "body"})
_FREE_PARTS = _PARTS | {"method"}
_LIST_PARTS = _PARTS | {"paginate", "max_pages"}
_MAX_FAULTS = 100


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
    if not isinstance(given, dict):
        raise Invalid(f"{field} must be an object.", fields=(FieldError(field, "must be an object"),))
    faults: list[FieldError] = []
    found: RestOperation | None
    if operation == FREE_OPERATION:
        found, known = FREE, _FREE_PARTS
        method = given.get("method", "GET")
        if method not in METHODS:
            faults.append(FieldError(f"{field}.method", f"must be one of {', '.join(METHODS)}"))
        path = paths.free(given.get("path", "/"), f"{field}.path", faults)
    else:
        found = connection.operations.get(operation)
        if found is None:
            choice = ", ".join(sorted([*connection.operations, FREE_OPERATION]))
            text = f"this integration has no such operation; it has {choice}"
            raise invalid([FieldError("operation", text)])
        known = _PARTS if found.pagination is None else _LIST_PARTS
        method = found.method
        path = paths.fill(found.path, given.get("path"), f"{field}.path", faults)
    if not known.issuperset(given):
        faults += [
            FieldError(f"{field}.{name}", f"unknown; an input has {', '.join(sorted(known))}")
            for name in given
            if name not in known
        ]
    pages = 0 if found.pagination is None else _pages(found.pagination.max_pages, given, field, faults)
    values = {**found.query, **_mapping(given, "query", field, faults)}
    body = _sized(found, values, given.get("body"))
    query = parameters.encode(values, found.arrays, found.objects, f"{field}.query", faults) if values else ""
    sent = headers.merge(
        connection.headers,
        found.headers,
        _mapping(given, "headers", field, faults),
        f"{field}.headers",
        faults,
    )
    if found.accept and headers.lookup(sent, "accept") is None:
        sent["Accept"] = found.accept
    content = bodies.encode(found, body, sent, f"{field}.body", faults)
    if faults:
        raise invalid(faults)
    url = f"{connection.base_url}{path}?{query}" if query else connection.base_url + path
    if len(url) > MAX_CHARACTERS:
        text = f"makes an address of {len(url)} characters; it may have {MAX_CHARACTERS}"
        raise invalid([FieldError(f"{field}.query" if query else f"{field}.path", text)])
    return Prepared(
        method=method,
        endpoint=url,
        headers=sent,
        payload=body,
        safe=is_safe(found, method),
        idempotent=is_idempotent(found, method),
        wire=Wire(content, body, found, pages),
    )


def invalid(faults: list[FieldError]) -> Invalid:
    """The error that names these faults."""
    shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
    return Invalid(f"{shown}.", fields=tuple(faults[:_MAX_FAULTS]))


def _mapping(given: Mapping[str, Any], name: str, field: str, faults: list[FieldError]) -> dict[str, Any]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.append(FieldError(f"{field}.{name}", "must be an object"))
        return {}
    return value


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
