"""From rows of executions to what the API shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id
from hub.db.states import State
from hub.integrations.executions.bodies import encode_body, error_of, show_body
from hub.integrations.executions.schemas import (
    Attempt,
    ErrorView,
    Execution,
    ExecutionDetail,
    Metrics,
    RequestView,
    Result,
    Schedule,
    TestOutcome,
    Usage,
    UsageOfPeriod,
)
from hub.integrations.pipeline.retry import is_retryable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy import Row

    from hub.integrations.executions.quota_store import Used
    from hub.integrations.pipeline.chain import Made
    from hub.integrations.registry.policies import Quota
    from hub.integrations.transports.interface import Prepared

#: What a test shows of an answer, in bytes.
_TEST_BYTES = 65_536
#: The links that are steps of a flow or a definition.
_TRANSFORMING = ("flow", "request_transform", "response_transform")


def execution(row: Row[Any]) -> Execution:
    """An execution in a list."""
    return Execution(**_execution(row))


def execution_detail(row: Row[Any], attempts: Sequence[Row[Any]]) -> ExecutionDetail:
    """An execution with everything."""
    result = None
    if row.status is not None or row.data is not None:
        data, encoding = show_body(row.data, row.response_headers, base64=row.data_base64)
        result = Result.model_validate(
            {
                "status": row.status,
                "headers": row.response_headers,
                "data": data,
                "encoding": encoding,
                "truncated": row.truncated,
            }
        )
    log = [attempt(one) for one in attempts]
    shown = _execution(row)
    shown["metrics"].links = row.timings
    if row.timings:
        spent = [row.timings.get(name, 0.0) for name in _TRANSFORMING]
        shown["metrics"].transformation_ms = round(sum(spent), 3)
    return ExecutionDetail(**shown, input=row.input, request=row.request, result=result, attempt_log=log)


def attempt(row: Row[Any]) -> Attempt:
    """One call of an execution."""
    fields = {
        name: getattr(row, name) for name in Attempt.model_fields if name not in {"id", "response_body"}
    }
    body = None if row.response_body is None else row.response_body.decode(errors="replace")
    return Attempt(**fields, id=format_id(Kind.ATTEMPT, row.id), response_body=body)


def test_outcome(made: Made) -> TestOutcome:
    """What a test call brought."""
    outcome = made.outcome
    error = error_of(outcome, recoverable=is_retryable(outcome))
    text, base64 = encode_body(outcome.body[:_TEST_BYTES])
    truncated = outcome.truncated or len(outcome.body) > _TEST_BYTES
    data, encoding = show_body(text, None if truncated else outcome.headers, base64=base64)
    timings = outcome.timings
    return TestOutcome.model_validate(
        {
            "ok": outcome.ok,
            "status": outcome.status,
            "error": error,
            "latency_ms": timings.total_ms,
            "links": {name: round(ms, 3) for name, ms in (made.timings or {}).items()},
            "timings": {
                "dns_ms": timings.dns_ms,
                "connect_ms": timings.connect_ms,
                "tls_ms": timings.tls_ms,
                "first_byte_ms": timings.first_byte_ms,
            },
            "peer": outcome.peer,
            "result": {
                "status": outcome.status,
                "headers": outcome.headers,
                "data": data,
                "encoding": encoding,
                "truncated": truncated,
            },
        }
    )


def request(prepared: Prepared) -> RequestView:
    """What would be sent."""
    return RequestView(
        method=prepared.method,
        endpoint=prepared.endpoint,
        headers=dict(prepared.headers),
        payload=prepared.payload,
    )


def schedule(row: Row[Any]) -> Schedule:
    """A schedule."""
    last = row.last_execution_id
    return Schedule(
        id=format_id(Kind.SCHEDULE, row.id),
        integration=format_id(Kind.INTEGRATION, row.integration_id),
        name=row.name,
        operation=row.operation,
        input=row.input,
        cron=row.cron,
        timezone=row.timezone,
        every_seconds=row.every_seconds,
        overlap=row.overlap,
        paused=row.paused,
        next_at=row.next_at,
        last_at=row.last_at,
        last_execution=None if last is None else format_id(Kind.EXECUTION, last),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def usage(quota: Quota, used: Used, day: date, month: date) -> Usage:
    """What was used of a quota."""
    limits = (quota.calls_per_day, quota.bytes_per_day, quota.calls_per_month, quota.bytes_per_month)
    return Usage(
        counted=any(limit is not None for limit in limits),
        day=UsageOfPeriod(
            begins=day,
            calls=used.day_calls,
            calls_limit=quota.calls_per_day,
            bytes=used.day_bytes,
            bytes_limit=quota.bytes_per_day,
        ),
        month=UsageOfPeriod(
            begins=month,
            calls=used.month_calls,
            calls_limit=quota.calls_per_month,
            bytes=used.month_bytes,
            bytes_limit=quota.bytes_per_month,
        ),
    )


def _execution(row: Row[Any]) -> dict[str, Any]:
    waits = row.state == State.DUE
    return {
        "id": format_id(Kind.EXECUTION, row.id),
        "integration": format_id(Kind.INTEGRATION, row.integration_id),
        "operation": row.operation,
        "source": row.source,
        "caller": None if row.caller is None else format_id(Kind.API_KEY, row.caller),
        "user": row.on_behalf_of,
        "component": row.component,
        "batch": None if row.batch_id is None else format_id(Kind.BATCH, row.batch_id),
        "schedule": None if row.schedule_id is None else format_id(Kind.SCHEDULE, row.schedule_id),
        "replay_of": None if row.replay_of is None else format_id(Kind.EXECUTION, row.replay_of),
        "event": None if row.event_id is None else format_id(Kind.MESSAGE, row.event_id),
        "flow": None if row.flow_id is None else format_id(Kind.FLOW, row.flow_id),
        "trace_id": None if row.traceparent is None else row.traceparent.split("-")[1],
        "cached": row.cached,
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempt,
        "next_attempt_at": row.due_at if waits else None,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "status": row.status,
        "error": None if row.error is None else ErrorView(**row.error),
        "metrics": Metrics(
            latency_ms=row.latency_ms, data_size=row.data_size, retry_count=row.step, usage=row.usage
        ),
    }
