"""Every error as `application/problem+json` (RFC 9457), with the id under which the log has the rest.

`problem_of` decides, `response_of` writes. A problem never holds a traceback, SQL, or a value that was sent.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hub.core.errors import FieldError, HubError, Invalid, Malformed, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MAX_FIELDS = 100
_RETRY_AFTER_SECONDS = "1"
_PLACES = frozenset({"query", "path", "header", "cookie"})
#: By pydantic's types of errors (https://docs.pydantic.dev/latest/errors/validation_errors/).
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(("list_type", "set_type", "frozen_set_type", "tuple_type"), "must be a list"),
    "string_type": "must be text",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
}
#: Pydantic's sentences have a subject of their own; ours is the field.
_SUBJECT = re.compile(r"^(Input|String|List|Dictionary|Set|Tuple|Value|Data) should ")


class FieldProblem(BaseModel):
    """One fault of one field."""

    path: str = Field(
        description="Dotted path from the body's root, or `query.name`, `path.name`, `header.X`; empty: all."
    )
    message: str


class Problem(BaseModel):
    """What went wrong, as in RFC 9457."""

    type: str = Field(description="Stable name of the kind of problem.", examples=["/problems/invalid_input"])
    title: str = Field(examples=["Invalid input"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["url: is required."])
    request_id: str | None = Field(
        default=None,
        description="Name it when you ask for help: the log has it.",
        examples=["req_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"],
    )
    errors: list[FieldProblem] = Field(default=[], examples=[[{"path": "url", "message": "is required"}]])


def problem_of(error: Exception, request_id: str | None = None) -> tuple[Problem, dict[str, str]]:
    """What a caller is told of an error.

    Args:
        error: what was raised; anything unknown is told as "internal error" alone.
        request_id: of the request.

    Returns:
        The problem, and the headers that go with it.
    """
    if isinstance(error, RequestValidationError):
        error = _from_validation(error.errors())
    elif isinstance(error, HTTPException):
        return _from_http(error, request_id), dict(error.headers or {})
    elif _is_database_away(error):
        error = Unavailable(
            "The database does not answer, so the outcome is not known. Send this again in a moment, with the same"
            " id or Idempotency-Key: then it is done once."
        )
    elif not isinstance(error, HubError):
        error = HubError("Something went wrong on our side; nothing is known about the outcome.")
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # The rest of the body is on its way; the connection is not worth reading it.
        headers["Connection"] = "close"
    return _problem(error.code, error.title, error.status, error.detail, request_id, error.fields), headers


def response_of(error: Exception, request_id: str | None = None) -> Response:
    """The answer to a request that failed; logs what the caller is not told."""
    problem, headers = problem_of(error, request_id)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # A traceback for what nobody expected; a database that is away needs one line only.
        unexpected = problem.status == HTTPStatus.INTERNAL_SERVER_ERROR
        log.error(
            "Request %s failed: %s", request_id, type(error).__name__ if unexpected else error,
            exc_info=error if unexpected else None,
        )  # fmt: skip
    return Response(problem.model_dump_json(exclude_none=True), problem.status, headers, MEDIA_TYPE)


def _problem(
    code: str, title: str, status: int, detail: str, request_id: str | None, fields: Sequence[FieldError] = ()
) -> Problem:
    return Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        request_id=request_id,
        errors=[FieldProblem(path=field.path, message=field.message) for field in fields[:_MAX_FIELDS]],
    )


def _from_http(error: HTTPException, request_id: str | None) -> Problem:
    status = HTTPStatus(error.status_code)
    return _problem(status.name.lower(), status.phrase, status.value, str(error.detail), request_id)


def _from_validation(faults: Sequence[Mapping[str, Any]]) -> Invalid:
    fields = tuple(FieldError(_path(fault["loc"]), fault_message(fault)) for fault in faults[:_MAX_FIELDS])
    detail = "; ".join(f"{field.path or 'The body'}: {field.message}" for field in fields[:5])
    if any(fault["type"] == "json_invalid" for fault in faults):
        return Malformed("The body is not JSON.", fields=fields)
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    return Invalid(f"{detail}{more}.", fields=fields)


def _path(loc: Sequence[str | int]) -> str:
    """`("body", "events", 3, "type")` is `events.3.type`; other places keep their name in front."""
    if loc and loc[0] in _PLACES:
        name = str(loc[1]).title() if loc[0] == "header" and len(loc) > 1 else None
        return f"header.{name}" if name else ".".join(map(str, loc))
    return ".".join(map(str, loc[1:]))


def fault_message(fault: Mapping[str, Any]) -> str:
    """What pydantic found wrong, to be read after the field; never what was sent.

    Args:
        fault: one of `ValidationError.errors()`, with its `ctx`.
    """
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _MESSAGES:
        return _MESSAGES[kind]
    if kind == "json_invalid":
        return f"is not JSON: {context.get('error', '')}"
    if kind == "union_tag_invalid":
        choices = context["expected_tags"].replace("'", "")
        return f"`{context['discriminator'].strip(chr(39))}` must be one of {choices}"
    message = str(fault["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    return _SUBJECT.sub("must ", message).replace("must be a valid ", "must be a ")


def _is_database_away(error: Exception) -> bool:
    """Nobody answers, no connection is free, or the server ended ours; the next try may work."""
    return isinstance(error, OperationalError | PoolTimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
