"""The request of a delivery: its body, transformed where the endpoint says so, and its headers with the signatures.

Pure but for the sandbox that evaluates expressions and the id of a batch. The runner sends what is built here; a dry
run shows it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hub.core.errors import HubError
from hub.core.ids import new_uuid
from hub.db.states import State
from hub.net.outcome import ErrorClass, Outcome
from hub.transforms.outcome import Cancelled, StepFailed
from hub.webhooks.envelope import batch_body
from hub.webhooks.job import NotSent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.transforms.sandbox import Sandbox
    from hub.webhooks.job import Job

_USER_AGENT = "Integration-Hub/1 (webhooks)"
_FIXED = ("Content-Type: application/json", f"User-Agent: {_USER_AGENT}")
_FIXED_SHOWN = f'"content-type":"application/json","user-agent":"{_USER_AGENT}",'


class Built(NamedTuple):
    """A request.

    Args:
        headers: its lines.
        body: the bytes that are signed and sent.
        shown: its headers as JSON, what is secret in them masked.
    """

    headers: list[str]
    body: bytes
    shown: msgspec.Raw


def transform(job: Job, sandbox: Sandbox) -> None:
    """Make the body and headers of a delivery whose endpoint has a pipeline, or its verdict."""
    pipeline = job.target.pipeline
    assert pipeline is not None
    try:
        result = pipeline.run(job.envelope.document(), sandbox)
        if isinstance(result, Cancelled):
            job.verdict = NotSent(State.SKIPPED, "cancelled_by_transformation")
            return
        document = result.document
        if job.target.batch_size > 1 and isinstance(document, dict) and "id" in document:
            # In a batch, an item's `id` is its webhook-id.
            document = {"data": document}
        job.body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        job.headers = result.headers
    except StepFailed as error:
        job.verdict = NotSent(State.FAILED, "transformation_failed", error.detail)
    except HubError as error:
        # The sandbox does not answer: our fault, so it is tried again.
        job.verdict = Outcome(None, ErrorClass.INTERNAL, error.detail)
    except Exception as error:  # noqa: BLE001 - one delivery must not end the others' pump
        reason = f"The result is not JSON ({type(error).__name__})."
        job.verdict = NotSent(State.FAILED, "transformation_failed", reason)


def build(job: Job, stamp: int) -> Built:
    """Sign and put together the request of a delivery, or of a batch without those that have a verdict.

    Args:
        job: what is sent.
        stamp: `webhook-timestamp`, Unix seconds.
    """
    target = job.target
    if target.batch_size == 1:
        webhook_id, body = job.envelope.webhook_id, job.body
    else:
        webhook_id = f"batch_{new_uuid().hex}"
        sent = [one for one in (job, *job.others) if one.verdict is None]
        body = batch_body([(one.envelope.webhook_id, one.body) for one in sent])
    signed = [
        f"webhook-id: {webhook_id}",
        f"webhook-timestamp: {stamp}",
        f"webhook-signature: {target.signer.value(webhook_id, stamp, body)}",
    ]
    shown = f'"webhook-id":"{webhook_id}","webhook-timestamp":"{stamp}","webhook-signature":"***"'
    for profile in target.profiles:
        for name, value in profile.headers(target.keys, webhook_id, stamp, body):
            signed.append(f"{name}: {value}")
            shown += f',"{name.lower()}":"***"'
    if job.headers:
        own, own_shown = _with_changes(job)
    else:
        own, own_shown = (*_FIXED, *target.headers), _FIXED_SHOWN + target.shown_headers
    trace = job.envelope.traceparent
    # A batch has events of many traces; a header of the endpoint's own goes before.
    if trace is not None and target.batch_size == 1 and not _names(own, "traceparent"):
        signed.append(f"traceparent: {trace}")
        shown += f',"traceparent":"{trace}"'
    if job.token is not None:
        signed.append(f"Authorization: Bearer {job.token}")
        shown += ',"authorization":"***"'
    return Built([*own, *signed], body, msgspec.Raw(f"{{{own_shown}{shown}}}".encode()))


def _names(lines: Sequence[str], name: str) -> bool:
    return any(line.partition(":")[0].lower() == name for line in lines)


def _with_changes(job: Job) -> tuple[Sequence[str], str]:
    """The endpoint's own headers after its transformation, as lines and as they are shown."""
    target = job.target
    changes = {name.lower(): value for name, value in (job.headers or {}).items()}
    lines = [line for line in (*_FIXED, *target.headers) if line.partition(":")[0].lower() not in changes]
    shown = msgspec.json.decode(
        f"{{{(_FIXED_SHOWN + target.shown_headers).rstrip(',')}}}", type=dict[str, str]
    )
    for name, value in changes.items():
        shown.pop(name, None)
        if value is not None:
            lines.append(f"{name}: {value}")
            shown[name] = value
    return lines, msgspec.json.encode(shown).decode()[1:-1] + ","
