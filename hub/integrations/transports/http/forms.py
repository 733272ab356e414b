"""What an operation over HTTP looks like, and what can be wrong with its meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from hub.core.errors import FieldError
from hub.core.headers import is_token
from hub.integrations.forms import Form, Headers, IdempotencyHeader
from hub.integrations.operation import OperationForm
from hub.integrations.transports.http import headers, parameters, paths

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
BodyType = Literal["json", "form", "multipart", "text", "binary"]
Status = Annotated[int, Field(ge=200, le=599)] | Literal["2xx", "3xx", "4xx", "5xx"]
Place = Annotated[str, Field(max_length=256)]

METHODS: tuple[str, ...] = get_args(Method)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENT_METHODS = SAFE_METHODS | {"PUT", "DELETE"}

#: Before the name of an answer's header, where a place of the answer's body could stand as well.
HEADER_PREFIX = "header:"


class Pagination(Form):
    """How a list that comes in pages goes on. Places in an answer are dotted paths: `meta.next`, `data.-1.id`."""

    kind: Literal["cursor", "link", "page", "offset", "next_url"] = Field(
        description="cursor: a text of the answer asks for the next page; link: the header Link (RFC 8288);"
        " page and offset: a counted number; next_url: the answer has the next page's address."
    )
    items: Place = Field(
        default="", description="Where the array of items is. Empty: the answer is that array."
    )
    cursor: Place = Field(
        default="", description="For cursor and next_url: where it is, in the body or as `header:Name`."
    )
    parameter: str = Field(
        default="", max_length=128, description="For cursor, page and offset: the parameter that takes it."
    )
    parameter_in: Literal["query", "body"] = Field(
        default="query", description="body: a member of the JSON object that is sent."
    )
    more: Place = Field(default="", description="Where the answer says true as long as there is more.")
    total: Place = Field(
        default="", description="For page: where the number of pages is; for offset: that of all items."
    )
    first: int | None = Field(
        default=None, ge=0, le=1, description="For page: the first page's number. Unset: 1."
    )
    size_parameter: str = Field(
        default="", max_length=128, description="The parameter that takes `page_size`."
    )
    page_size: int | None = Field(default=None, ge=1, le=100_000)
    max_pages: int = Field(default=10, ge=1, le=1000, description="A call may ask for fewer.")


class RestOperation(OperationForm):
    """One HTTP request."""

    method: Method = "GET"
    path: str = Field(
        default="/", max_length=4096, description="`/users/{id}`: parameters come from `input.path`."
    )
    query: dict[str, Any] = Field(default={}, max_length=50, description="Defaults; the input's win.")
    headers: Headers = Field(default={}, description="Defaults; the input's win.")
    arrays: parameters.ArrayStyle = Field(
        default="repeat",
        description="Lists in a query or a form. repeat: a=1&a=2; comma: a=1,2; brackets: a[]=1&a[]=2;"
        " indices: a[0]=1&a[1]=2.",
    )
    objects: parameters.ObjectStyle = Field(
        default="refuse", description="Objects in a query or a form. brackets: a[b]=c, to any depth."
    )
    body_type: BodyType | None = Field(
        default=None, description="Unset: by the header Content-Type, and JSON without one."
    )
    accept: str = Field(default="", max_length=256, description="The header Accept, when the input has none.")
    success: list[Status] = Field(
        default=[], max_length=20, description="Statuses that are a success. Empty: any 2xx."
    )
    idempotency_key: IdempotencyHeader = ""
    pagination: Pagination | None = Field(
        default=None, description="The result is one array of the items of all pages."
    )


FREE = RestOperation()
"""What the free operation has beside its method and path."""


def is_safe(operation: RestOperation, method: str) -> bool:
    """It changes nothing: as it says, or by the method (RFC 9110, 9.2.1)."""
    return method in SAFE_METHODS if operation.safe is None else operation.safe


def is_idempotent(operation: RestOperation, method: str) -> bool:
    """Twice is once: as it says, by the method (RFC 9110, 9.2.2), or because a key goes with it."""
    if operation.idempotent is not None:
        return operation.idempotent
    return is_safe(operation, method) or method in IDEMPOTENT_METHODS or bool(operation.idempotency_key)


def operation_faults(operation: RestOperation, at: str) -> list[FieldError]:
    """What is wrong with the meaning of a well-formed operation.

    Args:
        operation: to judge.
        at: where it stands.
    """
    faults = [FieldError(f"{at}.path", text) for text in paths.template_faults(operation.path)]
    faults += headers.header_faults(operation.headers, f"{at}.headers")
    parameters.encode(operation.query, operation.arrays, operation.objects, f"{at}.query", faults)
    if operation.accept:
        try_accept = headers.header_faults({"Accept": operation.accept}, at)
        faults += [FieldError(f"{at}.accept", fault.message) for fault in try_accept]
    faults += headers.key_faults(operation.idempotency_key, f"{at}.idempotency_key")
    if operation.pagination is not None:
        faults += _pagination_faults(operation, operation.pagination, f"{at}.pagination")
    return faults


def _pagination_faults(operation: RestOperation, pages: Pagination, at: str) -> list[FieldError]:
    faults: list[FieldError] = []
    needs = {
        "cursor": ("cursor", "parameter"),
        "next_url": ("cursor",),
        "page": ("parameter",),
        "offset": ("parameter",),
        "link": (),
    }[pages.kind]
    useless = {
        "cursor": ("total", "first"),
        "next_url": ("parameter", "total", "first"),
        "page": ("cursor",),
        "offset": ("cursor", "first"),
        "link": ("cursor", "parameter", "total", "first"),
    }[pages.kind]
    faults += [
        FieldError(f"{at}.{name}", f"is required for the kind {pages.kind}")
        for name in needs
        if not getattr(pages, name)
    ]
    faults += [
        FieldError(f"{at}.{name}", f"has no meaning for the kind {pages.kind}")
        for name in useless
        if getattr(pages, name)
    ]
    if bool(pages.size_parameter) != (pages.page_size is not None):
        missing = "page_size" if pages.size_parameter else "size_parameter"
        faults.append(FieldError(f"{at}.{missing}", "is required: both or neither"))
    if pages.parameter_in == "body" and operation.body_type not in {None, "json"}:
        faults.append(FieldError(f"{at}.parameter_in", "must be query unless the body is JSON"))
    if operation.method == "HEAD":
        faults.append(FieldError(at, "an answer to HEAD has no items"))
    if pages.cursor.startswith(HEADER_PREFIX) and not is_token(pages.cursor.removeprefix(HEADER_PREFIX)):
        faults.append(FieldError(f"{at}.cursor", "must name a header after `header:`"))
    return faults
