"""From rows to what the API shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id
from hub.db.states import State
from hub.integrations.directory import secret_ids
from hub.integrations.executions import encode_body, error_of, show_body
from hub.integrations.retry import is_retryable
from hub.integrations.schemas import (
    Attempt,
    ErrorView,
    Execution,
    ExecutionDetail,
    Integration,
    Metrics,
    Result,
    SecretView,
    TestOutcome,
)

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from hub.net.outcome import Outcome
    from hub.vault.store import Description

#: What a test shows of an answer, in bytes.
_TEST_BYTES = 65_536


def integration(row: Row[Any], secrets: Mapping[uuid.UUID, Description]) -> Integration:
    """An integration; of its secrets only what may be shown."""
    shown = {
        name: SecretView(last4=found.last4, fingerprint=found.fingerprint)
        for name, secret_id in secret_ids(row).items()
        if (found := secrets.get(secret_id)) is not None
    }
    return Integration(
        id=format_id(Kind.INTEGRATION, row.id),
        name=row.name,
        description=row.description,
        type=row.type,
        protocol=row.protocol,
        base_url=row.base_url,
        auth={**row.auth, **shown},
        headers=row.headers,
        # Stored as a 4-byte float: 0.1 comes back as 0.10000000149.
        timeout_seconds=round(row.timeout_seconds, 3),
        follow_redirects=row.follow_redirects,
        retry_policy=row.retry_policy,
        operations=row.operations,
        health_check=row.health_check,
        status=row.status,
        tags=row.tags,
        version=row.version,
        created_by=None if row.created_by is None else format_id(Kind.API_KEY, row.created_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


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
    return ExecutionDetail(**_execution(row), input=row.input, result=result, attempt_log=log)


def attempt(row: Row[Any]) -> Attempt:
    """One call of an execution."""
    fields = {
        name: getattr(row, name) for name in Attempt.model_fields if name not in {"id", "response_body"}
    }
    body = None if row.response_body is None else row.response_body.decode(errors="replace")
    return Attempt(**fields, id=format_id(Kind.ATTEMPT, row.id), response_body=body)


def test_outcome(outcome: Outcome) -> TestOutcome:
    """What a test call brought."""
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


def _execution(row: Row[Any]) -> dict[str, Any]:
    waits = row.state == State.DUE
    return {
        "id": format_id(Kind.EXECUTION, row.id),
        "integration": format_id(Kind.INTEGRATION, row.integration_id),
        "operation": row.operation,
        "source": row.source,
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempt,
        "next_attempt_at": row.due_at if waits else None,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "status": row.status,
        "error": None if row.error is None else ErrorView(**row.error),
        "metrics": Metrics(latency_ms=row.latency_ms, data_size=row.data_size, retry_count=row.step),
    }
