"""What was sent, as it is kept with an execution: as far as its input does not say it, without credentials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.executions.job import Job
    from hub.integrations.pipeline.chain import Made
    from hub.integrations.transports.interface import Prepared

#: UTF-8 bytes of what was sent that are kept.
MAX_PAYLOAD = 16_384


def request_of(job: Job, made: Made) -> dict[str, Any] | None:
    """Method, endpoint and headers; `payload` where steps, a flow or the definition made it.

    A payload is kept as the JSON value that was sent; a longer one as the beginning of its text, with
    `payload_truncated`. The integration's secrets are masked in it. What the data policy says is left to `keeping`.

    Args:
        job: the execution.
        made: its call; of an answer that was kept from an earlier one, nothing was sent.
    """
    if made.prepared is None:
        return None
    prepared = made.prepared
    shown: dict[str, Any] = {"method": prepared.method, "endpoint": prepared.endpoint}
    if prepared.headers:
        shown["headers"] = dict(prepared.headers)
    if not made.cached and not _is_said(job, prepared):
        shown |= _payload(job, prepared.payload)
    return shown


def _is_said(job: Job, prepared: Prepared) -> bool:
    """Does the input tell what was sent?"""
    payload, given = prepared.payload, job.input
    if payload is None:
        return True
    if job.mapping is not None or _has_steps(job):
        # They may change what Python takes for the same, such as 1 to true.
        return False
    return bool(payload == given or (isinstance(given, dict) and payload in given.values()))


def _has_steps(job: Job) -> bool:
    target = job.target
    return target is not None and bool(target.operations.get(job.operation, target.free).request_steps)


def _payload(job: Job, payload: Any) -> Mapping[str, Any]:
    is_text = isinstance(payload, str)
    try:
        made = payload if is_text else json.dumps(payload, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        # A transport of another package may show what JSON cannot say.
        return {}
    text = made.encode(errors="replace").decode()
    redactor = job.call.redactor if job.call is not None else None
    if redactor is None and job.target is not None:
        redactor = job.target.redactor
    masked = text if redactor is None else redactor.text(text)
    raw = masked.encode()
    if len(raw) > MAX_PAYLOAD:
        beginning = raw[:MAX_PAYLOAD].decode(errors="ignore").replace("\0", "\ufffd")
        return {"payload": beginning, "payload_truncated": True}
    # Postgres reads no U+0000 in JSON, however it is spelled, and a mask may take the place of a number.
    if is_text or "\\u0000" in masked or (masked != text and not _is_json(masked)):
        return {"payload": masked.replace("\0", "\ufffd")}
    return {"payload": msgspec.Raw(raw)}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
