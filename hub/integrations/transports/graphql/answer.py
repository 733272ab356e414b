"""What a GraphQL answer means: data, errors, or both (GraphQL specification of October 2021, 7.1).

Promises: the service's answer stays as it came, digits and all; its first error is the message. Leaves to others:
masking of secrets that the service repeats, in the answer and in the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hub.integrations.transports.quoting import quoted
from hub.net.outcome import ErrorClass, Outcome

# Codes are a convention of services. `extensions.code` is Apollo's place for them, `type` GitHub's.
_UNAUTHORIZED = frozenset({"UNAUTHENTICATED", "AUTHENTICATION_ERROR"})
_RATE_LIMITED = frozenset(
    {"THROTTLED", "RATE_LIMITED", "RATELIMITED", "RATE_LIMIT_EXCEEDED", "TOO_MANY_REQUESTS"}
)
_MAX_ERRORS = 1000

#: Values that stay the bytes that came: numbers keep every digit.
Members = dict[str, msgspec.Raw]


class NotGraphqlError(Exception):
    """An answer that is none; its text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read.

    Args:
        members: of the whole answer.
        data: its data as JSON; None when there is none.
        errors: its errors.
    """

    members: Members
    data: msgspec.Raw | None
    errors: tuple[dict[str, Any], ...]


def reply_of(body: bytes) -> Reply:
    """Read an answer.

    Raises:
        NotGraphqlError: it is none.
    """
    members = members_of(body, "the answer")
    data = members.get("data")
    if data is not None and is_null(data):
        data = None
    errors: Any = []
    if "errors" in members:
        try:
            errors = msgspec.json.decode(members["errors"], type=list[dict[str, Any]] | None) or []
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise NotGraphqlError("its errors are not a list of objects") from None
    if "data" not in members and not errors:
        raise NotGraphqlError("it has neither data nor errors")
    return Reply(members, data, tuple(errors[:_MAX_ERRORS]))


def is_null(value: msgspec.Raw) -> bool:
    """It is JSON's null."""
    return len(memoryview(value)) == 4 and bytes(value) == b"null"


def members_of(body: bytes | msgspec.Raw, what: str) -> Members:
    """The members of a JSON object.

    Raises:
        NotGraphqlError: it is none.
    """
    try:
        return msgspec.json.decode(body, type=Members)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise NotGraphqlError(f"{what} is not a JSON object") from None


def judged(outcome: Outcome, *, safe: bool, single: bool, keep_partial: bool) -> Outcome:
    """The outcome of a call, with what the answer says about it.

    Args:
        outcome: of the HTTP call; changed in place.
        safe: the operation changes nothing.
        single: it asks for one thing.
        keep_partial: data and errors together are a success.
    """
    answered = outcome.error_class in {None, ErrorClass.HTTP_4XX, ErrorClass.HTTP_5XX}
    if not answered:
        return outcome
    try:
        reply = reply_of(outcome.body)
    except NotGraphqlError as error:
        if outcome.error_class is None:
            outcome.error_class = ErrorClass.PROTOCOL
            outcome.message = f"The answer is not a GraphQL answer: {error}."
        return outcome
    if reply.errors and not (outcome.ok and reply.data is not None and keep_partial):
        code = _class_of(reply, safe=safe, single=single)
        if outcome.ok or code is not ErrorClass.PROVIDER_ERROR:
            outcome.error_class = code
        outcome.message = _message(reply)
    elif outcome.ok and reply.data is None:
        outcome.error_class = ErrorClass.PROVIDER_ERROR
        outcome.message = "The service answered without data and without an error."
    return outcome


def _class_of(reply: Reply, *, safe: bool, single: bool) -> ErrorClass:
    codes = {_code(error) for error in reply.errors}
    if codes & _UNAUTHORIZED:
        return ErrorClass.UNAUTHORIZED
    # One part of a mutation may be done although another was too much: only what surely did nothing is repeated.
    untouched = reply.data is None and (single or not any(error.get("path") for error in reply.errors))
    if codes & _RATE_LIMITED and (safe or untouched):
        return ErrorClass.RATE_LIMITED
    return ErrorClass.PROVIDER_ERROR


def _code(error: dict[str, Any]) -> str:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    code = code if isinstance(code, str) else error.get("type")
    return code.upper() if isinstance(code, str) else ""


def _message(reply: Reply) -> str:
    error = reply.errors[0]
    text, path, code = error.get("message"), error.get("path"), _code(error)
    about = []
    if isinstance(path, list) and path:
        about.append(f"at {'.'.join(str(step) for step in path[:20])}")
    if code:
        about.append(code)
    if len(reply.errors) > 1:
        about.append(f"the first of {len(reply.errors)} errors")
    said = (quoted(text) if isinstance(text, str) else "") or "an error without a message"
    more = f" ({quoted(', '.join(about))})" if about else ""
    return f"The service answered: {said}{more}."
