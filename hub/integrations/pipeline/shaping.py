"""From the caller's input to what is sent, and from the service's answer to what the caller gets."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError, Invalid, Unavailable
from hub.db.states import State
from hub.integrations.pipeline.call import Stopped
from hub.net.outcome import ErrorClass
from hub.transforms import Cancelled, StepFailed, compile_steps

if TYPE_CHECKING:
    from hub.integrations.pipeline.call import Call, Tools
    from hub.transforms import Pipeline

#: Seconds until the next try when expressions cannot be evaluated now.
_SANDBOX_PAUSE = 5.0
_SHOWN_FAULTS = 5


def flow(call: Call, tools: Tools) -> Stopped | None:
    """The mapping of the flow that started the call: from an event to an input."""
    if call.context.mapping is None:
        return None
    try:
        made = _mapping(call.context.mapping).run(call.given, tools.sandbox)
    except StepFailed as error:
        return Stopped(State.FAILED, "flow_mapping", error.detail)
    except Unavailable as error:
        return Stopped(State.DUE, "sandbox_busy", error.detail, due_in=_SANDBOX_PAUSE)
    if isinstance(made, Cancelled):
        return Stopped(State.SKIPPED, "cancelled_by_transform", made.reason)
    call.given = _with_headers(made.document, made.headers)
    call.notes["flow"] = {"input": call.given}
    return None


@lru_cache(maxsize=1000)
def _mapping(text: str) -> Pipeline:
    return compile_steps(json.loads(text))


def request_transform(call: Call, tools: Tools) -> Stopped | None:
    """The steps over the input. Headers that they set go into its `headers`."""
    assert call.form is not None
    for steps in call.form.request_steps:
        try:
            made = steps.run(call.given, tools.sandbox)
        except StepFailed as error:
            return Stopped(State.FAILED, "request_transform", error.detail)
        except Unavailable as error:
            return Stopped(State.DUE, "sandbox_busy", error.detail, due_in=_SANDBOX_PAUSE)
        if isinstance(made, Cancelled):
            return Stopped(State.SKIPPED, "cancelled_by_transform", made.reason)
        call.given = _with_headers(made.document, made.headers)
    if call.form.request_steps:
        call.notes["request_transform"] = {"input": call.given}
    return None


def _with_headers(document: Any, headers: Any) -> Any:
    if not headers or not isinstance(document, dict):
        return document
    present = document.get("headers")
    changed = {name.lower() for name in headers}
    kept = present.items() if isinstance(present, dict) else ()
    merged = {name: value for name, value in kept if name.lower() not in changed}
    merged |= {name: value for name, value in headers.items() if value is not None}
    return {**document, "headers": merged}


def schema(call: Call, _tools: Tools) -> Stopped | None:
    """The input's JSON Schema."""
    assert call.form is not None
    if call.form.schema is None:
        return None
    faults = call.form.schema.errors(call.given, at="input")
    if not faults:
        return None
    shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:_SHOWN_FAULTS])
    return Stopped(State.FAILED, "invalid_input", f"{shown}.", fields=tuple(faults))


def prepare(call: Call, _tools: Tools) -> Stopped | None:
    """What will be sent."""
    try:
        call.prepared = prepared = call.target.transport.prepare(
            call.target.connection, call.operation, call.given
        )
    except Invalid as error:
        return Stopped(State.FAILED, "invalid_input", error.detail, fields=error.fields)
    call.notes["prepare"] = {
        "method": prepared.method,
        "endpoint": prepared.endpoint,
        "headers": dict(prepared.headers),
        "payload": prepared.payload,
        "safe": prepared.safe,
        "idempotent": prepared.idempotent,
    }
    if call.context.repeated and not prepared.idempotent:
        message = (
            "The worker vanished during an earlier attempt. Whether that call arrived is unknown,"
            " and this operation must not be made twice."
        )
        return Stopped(State.FAILED, "interrupted", message)
    return None


def response_transform(call: Call, tools: Tools) -> Stopped | None:
    """The steps over a good answer's data. An answer that they do not fit is a failure that repeating cannot mend."""
    assert call.form is not None
    assert call.outcome is not None
    outcome = call.outcome
    if not call.form.response_steps or not outcome.ok:
        return None
    try:
        document = _data(outcome.body)
        for steps in call.form.response_steps:
            document = _run(steps, document, tools)
        outcome.body = _as_json(document)
        outcome.headers["content-type"] = "application/json"
    except Unavailable as error:
        # No fault of the answer: where that is harmless, the call is made once more when there is room.
        outcome.error_class, call.unknown = ErrorClass.INTERNAL, True
        outcome.message = f"The answer came, but could not be transformed: {error.detail}"
    except (StepFailed, ValueError) as error:
        # The provider's answer stays as it came, beside the reason.
        why = error.detail if isinstance(error, HubError) else "The result cannot be said in JSON."
        outcome.error_class = ErrorClass.TRANSFORM
        outcome.message = f"The answer came, but its transformation failed: {why}"
    return None


def _run(steps: Pipeline, document: Any, tools: Tools) -> Any:
    made = steps.run(document, tools.sandbox)
    return None if isinstance(made, Cancelled) else made.document


def _as_json(document: Any) -> bytes:
    """A result as it is stored.

    Raises:
        ValueError: JSON cannot say it: it holds a number that is none, or is nested too deeply.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError from None
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair has no bytes of its own.
        return json.dumps(document, separators=(",", ":")).encode()


def _data(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
