"""Executions: asked for alone or in batches, tried, looked at, cancelled and made again."""

# ruff: noqa: A002 - `input` is the field's name

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, overload

from hub.client.calls import Calls, part
from hub.client.encoding import time_text, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from hub.client.results import (
        Accepted,
        AcceptedBatch,
        Batch,
        Execution,
        ExecutionDetail,
        ExecutionDryRun,
        ExecutionInput,
        Page,
    )


class ExecutionCalls(Calls):
    """Executions of operations."""

    @overload
    def execute(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
        component: str | None = None,
        not_before: datetime | str | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted: ...
    @overload
    def execute(
        self, integration: str, operation: str, input: Mapping[str, Any] | None = None, *, wait: float | None,
        user: str | None = None, component: str | None = None, not_before: datetime | str | None = None,
        traceparent: str | None = None, idempotency_key: str | None = None,
    ) -> Accepted | ExecutionDetail: ...  # fmt: skip
    def execute(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        *,
        wait: float | None = None,
        user: str | None = None,
        component: str | None = None,
        not_before: datetime | str | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted | ExecutionDetail:
        """Execute an operation; it is committed when this returns.

        Args:
            integration: `int_…`.
            operation: its name.
            input: what it takes; with REST `path`, `query`, `headers`, `body` of the call.
            wait: seconds (whole ones, up to 60) to wait for the end.
            user: on whose behalf, for access rules and limits.
            component: which part of your system asks.
            not_before: accepted now, made then at the earliest: a time with its zone, or RFC 3339 text.
            traceparent: W3C trace context to go on with; a new trace begins without one.
            idempotency_key: the same request with the same key is done once; made here when not given.

        Raises:
            TypeError, ValueError: `wait` is no number of seconds; nothing was sent.

        Returns:
            `id` and `state`; everything, also `result` and `error`, when it ended within the wait.
        """
        headers = _preferring(wait) | ({} if traceparent is None else {"traceparent": traceparent})
        asked = {"operation": operation, "input": dict(input or {}), "user": user, "component": component}
        body = _given({**asked, "not_before": time_text(not_before)})
        answer: Accepted | ExecutionDetail = self._post(
            f"/v1/integrations/{part(integration)}/execute",
            to_json(body),
            idempotency_key,
            headers=headers,
            extra_wait=wait or 0.0,
        )
        return answer

    def execute_many(
        self, integration: str, items: Iterable[ExecutionInput], *, idempotency_key: str | None = None
    ) -> AcceptedBatch:
        """Execute up to 1,000 operations: all of them are accepted, or none.

        Args:
            integration: `int_…`.
            items: each `operation` and `input`, and what else `execute` takes.
            idempotency_key: the same request with the same key is done once; made here when not given.
        """
        body = [_given({**one, "not_before": time_text(one.get("not_before"))}) for one in items]
        batch: AcceptedBatch = self._post(
            f"/v1/integrations/{part(integration)}/execute-batch", to_json({"items": body}), idempotency_key
        )
        return batch

    def get_batch(self, batch_id: str) -> Batch:
        """How far a batch, `bat_…`, is; its executions are `list_executions(batch=…)`."""
        batch: Batch = self._get(f"/v1/execution-batches/{part(batch_id)}")
        return batch

    def dry_run_execution(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
    ) -> ExecutionDryRun:
        """What an execution would do and send; nothing is sent, written or used up. Arguments as for `execute`."""
        body = _given({"operation": operation, "input": dict(input or {}), "user": user})
        answer: ExecutionDryRun = self._send(
            "POST", f"/v1/integrations/{part(integration)}/dry-run", body, repeatable=True
        )
        return answer

    def get_execution(self, execution_id: str) -> ExecutionDetail:
        """An execution, `exe_…`, with its result and every attempt."""
        execution: ExecutionDetail = self._get(f"/v1/executions/{part(execution_id)}")
        return execution

    def list_executions(
        self,
        *,
        integration: str | None = None,
        operation: str | None = None,
        state: str | None = None,
        error_class: str | None = None,
        status: int | None = None,
        batch: str | None = None,
        schedule: str | None = None,
        flow: str | None = None,
        event: str | None = None,
        user: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Execution]:
        """A page of executions for which everything that is given holds.

        Args:
            integration: `int_…`.
            operation: its name.
            state: such as `failed`.
            error_class: of those that failed, such as `timeout` or `http_5xx`.
            status: of the service's answer.
            batch: `bat_…`.
            schedule: `sch_…`.
            flow: `flw_…`.
            event: `msg_…`, which started them.
            user: on whose behalf.
            since: accepted then or later: a time with its zone, or RFC 3339 text.
            until: accepted before.
            limit: at most so many.
            cursor: `next_cursor` of the page before.
        """
        page: Page[Execution] = self._get(
            "/v1/executions",
            integration=integration,
            operation=operation,
            state=state,
            error_class=error_class,
            status=status,
            batch=batch,
            schedule=schedule,
            flow=flow,
            event=event,
            user=user,
            since=time_text(since),
            until=time_text(until),
            limit=limit,
            cursor=cursor,
        )
        return page

    def cancel_execution(self, execution_id: str) -> ExecutionDetail:
        """Cancel an execution that is not finished. A call under way is cut off; whether it arrived is unknown."""
        execution: ExecutionDetail = self._send("POST", f"/v1/executions/{part(execution_id)}/cancel")
        return execution

    def replay_execution(
        self,
        execution_id: str,
        *,
        operation: str | None = None,
        input: Mapping[str, Any] | None = None,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted | ExecutionDetail:
        """Make an execution once more, as a new one.

        Args:
            execution_id: `exe_…`.
            operation: in place of its own.
            input: in place of its own.
            wait: as for `execute`.
            idempotency_key: as for `execute`.

        Raises:
            TypeError, ValueError: `wait` is no number of seconds; nothing was sent.

        Returns:
            As `execute`.
        """
        body = _given({"operation": operation, "input": None if input is None else dict(input)})
        answer: Accepted | ExecutionDetail = self._post(
            f"/v1/executions/{part(execution_id)}/replay",
            to_json(body),
            idempotency_key,
            headers=_preferring(wait),
            extra_wait=wait or 0.0,
        )
        return answer


def _preferring(wait: float | None) -> dict[str, str]:
    if wait is None:
        return {}
    if isinstance(wait, bool) or not isinstance(wait, int | float):
        raise TypeError(f"wait must be a number of seconds or None, not a {type(wait).__name__}")
    if not isfinite(wait):
        raise ValueError("wait must be a finite number of seconds")
    return {"Prefer": f"wait={max(0, round(wait))}"}


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is None was not said."""
    return {name: value for name, value in fields.items() if value is not None}
