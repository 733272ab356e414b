"""From an operation and its input to the request that goes out. Pure, used alike to accept, to run and to test.

Promises: every fault of an input is named, with its path; a path parameter fills exactly the hole it is meant for
and can neither add a segment nor leave the template; the host is always the integration's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from hub.core.errors import FieldError, Invalid
from hub.net.headers import check_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENT_METHODS = SAFE_METHODS | {"PUT", "DELETE"}
#: The operation that every integration has: the input says method and path.
FREE_OPERATION = "request"

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*")
_PATH_SAFE = "/%!$&'()*+,;=:@~"
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.{1,2}(?:$|[/\\])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\?#]")
_MAX_PATH = 4096
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\b", re.IGNORECASE)
_FORM_TYPE = "application/x-www-form-urlencoded"
# Credentials belong into `auth`, which is encrypted; an input or a definition is stored and shown as it is.
_AUTH_HEADERS = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One named way to call an integration.

    Args:
        method: upper case.
        path: a template such as `/users/{id}`.
        query: defaults.
        headers: defaults.
        safe: it changes nothing.
        idempotent: doing it twice is doing it once.
    """

    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    safe: bool
    idempotent: bool

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Operation:
        """From its stored form; flags that are not set follow the method (RFC 9110, 9.2)."""
        method = stored["method"]
        safe, idempotent = stored.get("safe"), stored.get("idempotent")
        safe = method in SAFE_METHODS if safe is None else safe
        return cls(
            method=method,
            path=stored["path"],
            query=stored.get("query") or {},
            headers=stored.get("headers") or {},
            safe=safe,
            idempotent=safe or method in IDEMPOTENT_METHODS if idempotent is None else idempotent,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out, before authentication."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    idempotent: bool


def build(
    base_url: str,
    headers: Mapping[str, str],
    operations: Mapping[str, Operation],
    operation: str,
    given: Any,
    *,
    field: str = "input",
) -> Request:
    """Make the request of one execution.

    Args:
        base_url: the integration's, checked when it was saved.
        headers: the integration's.
        operations: the integration's, by name.
        operation: the name asked for.
        given: the input: an object with `path`, `query`, `headers`, `body`, and `method` for the free operation.
        field: where the input stands in the caller's body, for the error.

    Raises:
        Invalid: with one field for every fault.
    """
    if not isinstance(given, dict):
        raise Invalid(f"{field} must be an object.", fields=(FieldError(field, "must be an object"),))
    faults: list[FieldError] = []
    known = {"path", "query", "headers", "body"} | ({"method"} if operation == FREE_OPERATION else set())
    faults += [
        FieldError(f"{field}.{name}", f"unknown; an input has {', '.join(sorted(known))}")
        for name in given
        if name not in known
    ]
    if operation == FREE_OPERATION:
        chosen = _free_operation(given, field, faults)
        path = quote(chosen.path, safe=_PATH_SAFE)
    else:
        found = operations.get(operation)
        if found is None:
            choice = ", ".join(sorted([*operations, FREE_OPERATION]))
            faults.append(FieldError("operation", f"this integration has no such operation; it has {choice}"))
            raise _invalid(faults)
        chosen = found
        path = _fill(found.path, given.get("path"), f"{field}.path", faults)
    query = _query({**chosen.query, **_mapping(given, "query", field, faults)}, f"{field}.query", faults)
    sent = _headers(headers, chosen.headers, _mapping(given, "headers", field, faults), field, faults)
    body = _body(given.get("body"), sent, f"{field}.body", faults)
    if faults:
        raise _invalid(faults)
    url = base_url.rstrip("/") + path + (f"?{query}" if query else "")
    return Request(chosen.method, url, sent, body, chosen.idempotent)


def template_faults(path: str) -> list[str]:
    """What is wrong with an operation's path template."""
    filled = _HOLE.sub("x", path)
    faults = []
    if len(path) > _MAX_PATH:
        faults.append(f"must have at most {_MAX_PATH} characters")
    if not _PATH.fullmatch(filled):
        faults.append("must start with / and have only URL path characters and {parameters}")
    if _DOT_SEGMENT.search(unquote(filled)):
        faults.append("must not have . or .. as a segment")
    names = _HOLE.findall(path)
    if len(names) != len(set(names)):
        faults.append("must not have a parameter twice")
    return faults


def header_faults(headers: Mapping[str, str], field: str) -> list[FieldError]:
    """What is wrong with headers of a definition or an input."""
    faults = [
        FieldError(f"{field}.{name}", "credentials belong into `auth`, where they are encrypted")
        for name in headers
        if name.lower() in _AUTH_HEADERS
    ]
    try:
        check_headers(headers, field)
    except Invalid as error:
        faults.extend(error.fields)
    return faults


def query_faults(query: Mapping[str, Any], field: str) -> list[FieldError]:
    """What is wrong with query parameters."""
    faults: list[FieldError] = []
    _query(query, field, faults)
    return faults


def _free_operation(given: dict[str, Any], field: str, faults: list[FieldError]) -> Operation:
    method, path = given.get("method", "GET"), given.get("path", "/")
    if method not in METHODS:
        faults.append(FieldError(f"{field}.method", f"must be one of {', '.join(METHODS)}"))
        method = "GET"
    if not isinstance(path, str) or not path.startswith("/"):
        faults.append(FieldError(f"{field}.path", "must be a text that starts with /"))
        path = "/"
    elif len(path) > _MAX_PATH or _CONTROL.search(path) or _DOT_SEGMENT.search(unquote(path)):
        text = "must be a plain path: no query, fragment, backslash, control character, or . and .. segments"
        faults.append(FieldError(f"{field}.path", text))
        path = "/"
    elif not _encodes(path):
        faults.append(FieldError(f"{field}.path", "is not valid Unicode"))
        path = "/"
    return Operation.of({"method": method, "path": path})


def _fill(template: str, given: Any, field: str, faults: list[FieldError]) -> str:
    values = {} if given is None else given
    names = _HOLE.findall(template)
    if not isinstance(values, dict):
        faults.append(FieldError(field, f"must be an object with {', '.join(names) or 'nothing'}"))
        return template
    faults += [
        FieldError(f"{field}.{name}", "the path has no such parameter")
        for name in values
        if name not in names
    ]
    texts: dict[str, str] = {}
    for name in names:
        text = _text(values.get(name))
        if text is None or not text:
            fault = (
                "is required: a text or a number"
                if name not in values
                else "must be a text or a number, not empty"
            )
            faults.append(FieldError(f"{field}.{name}", fault))
        elif _DOT_SEGMENT.search(text):
            faults.append(FieldError(f"{field}.{name}", "must not be or contain a . or .. segment"))
        elif not _encodes(text):
            faults.append(FieldError(f"{field}.{name}", "is not valid Unicode"))
        else:
            texts[name] = quote(text, safe="")
    path = _HOLE.sub(lambda hole: texts.get(hole[1], "x"), template)
    if any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        faults.append(FieldError(field, "the parameters together make a . or .. segment"))
    return path


def _mapping(given: dict[str, Any], name: str, field: str, faults: list[FieldError]) -> dict[str, Any]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.append(FieldError(f"{field}.{name}", "must be an object"))
        return {}
    return value


def _query(query: Mapping[str, Any], field: str, faults: list[FieldError]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            text = _text(item)
            if text is not None and _encodes(text) and _encodes(name):
                pairs.append((name, text))
            elif item is not None or isinstance(value, list):
                faults.append(
                    FieldError(
                        f"{field}.{ascii(name)[1:-1]}", "must be a text, number, boolean, or a list of them"
                    )
                )
    return urlencode(pairs)


def _headers(
    base: Mapping[str, str],
    defaults: Mapping[str, str],
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> dict[str, str]:
    """One set of headers, the more special one winning whatever the case of its name."""
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    faults += [FieldError(f"{field}.headers.{name}", "must be a text") for name in given if name not in texts]
    if texts:
        faults += header_faults(texts, f"{field}.headers")
    merged: dict[str, tuple[str, str]] = {}
    for group in (base, defaults, texts):
        for name, value in group.items():
            merged[name.lower()] = (name, value)
    return dict(merged.values())


def _body(body: Any, headers: dict[str, str], field: str, faults: list[FieldError]) -> bytes | None:
    """JSON, unless the content type says otherwise: then a text goes out as it is, and an object as a form."""
    if body is None:
        return None
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    try:
        if kind is None or _JSON_TYPE.match(kind):
            if kind is None:
                headers["Content-Type"] = "application/json"
            return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        if isinstance(body, str):
            return body.encode()
        if isinstance(body, dict) and kind.lower().startswith(_FORM_TYPE):
            return _query(body, field, faults).encode()
    except ValueError:
        faults.append(
            FieldError(field, "cannot be sent: it has text that is not Unicode, or a number without value")
        )
        return None
    faults.append(FieldError(field, f"must be a text for the content type {kind}"))
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) else None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(faults: list[FieldError]) -> Invalid:
    shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
    return Invalid(f"{shown}.", fields=tuple(faults[:100]))
