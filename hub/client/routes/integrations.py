"""Integrations and their executions."""

# ruff: noqa: A002 - `type`, `id` and `input` are the fields' names

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, overload

from hub.client.calls import Calls, part
from hub.client.encoding import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.client.results import Accepted, Execution, ExecutionDetail, Integration, Page


class IntegrationCalls(Calls):
    """Integrations and their executions."""

    @overload
    def execute(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Accepted: ...
    @overload
    def execute(
        self, integration: str, operation: str, input: Mapping[str, Any] | None = None, *, wait: float | None,
        idempotency_key: str | None = None,
    ) -> Accepted | ExecutionDetail: ...  # fmt: skip
    def execute(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted | ExecutionDetail:
        """Execute an operation; it is committed when this returns.

        Args:
            integration: `int_…`.
            operation: its name.
            input: `path`, `query`, `headers`, `body` of the call.
            wait: seconds (whole ones, up to 60) to wait for the end.
            idempotency_key: the same request with the same key is done once; made here when not given.

        Raises:
            TypeError, ValueError: `wait` is no number of seconds; nothing was sent.

        Returns:
            `id` and `state`; everything, also `result` and `error`, when it ended within the wait.
        """
        if wait is not None and (isinstance(wait, bool) or not isinstance(wait, int | float)):
            raise TypeError(f"wait must be a number of seconds or None, not a {type(wait).__name__}")
        if wait is not None and not isfinite(wait):
            raise ValueError("wait must be a finite number of seconds")
        body = to_json({"operation": operation, "input": dict(input or {})})
        headers = {} if wait is None else {"Prefer": f"wait={max(0, round(wait))}"}
        answer: Accepted | ExecutionDetail = self._post(
            f"/v1/integrations/{part(integration)}/execute",
            body,
            idempotency_key,
            headers=headers,
            extra_wait=wait or 0.0,
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
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Execution]:
        """A page of executions, of one integration or in one state if given."""
        page: Page[Execution] = self._get(
            "/v1/executions", integration=integration, state=state, limit=limit, cursor=cursor
        )
        return page

    def cancel_execution(self, execution_id: str) -> ExecutionDetail:
        """Cancel an execution that is not finished."""
        execution: ExecutionDetail = self._send("POST", f"/v1/executions/{part(execution_id)}/cancel")
        return execution

    def create_integration(self, **fields: Any) -> Integration:
        """Make an integration: `name`, `base_url`, and any other field of the API."""
        integration: Integration = self._send("POST", "/v1/integrations", fields)
        return integration

    def get_integration(self, integration_id: str) -> Integration:
        """An integration, `int_…`."""
        integration: Integration = self._get(f"/v1/integrations/{part(integration_id)}")
        return integration

    def list_integrations(
        self, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Integration]:
        """A page of integrations, in one status if one is given."""
        page: Page[Integration] = self._get("/v1/integrations", status=status, limit=limit, cursor=cursor)
        return page

    def update_integration(self, integration_id: str, **fields: Any) -> Integration:
        """Change an integration; fields that are left out stay."""
        integration: Integration = self._send("PATCH", f"/v1/integrations/{part(integration_id)}", fields)
        return integration

    def delete_integration(self, integration_id: str) -> None:
        """Delete an integration; its executions stay readable."""
        self._send("DELETE", f"/v1/integrations/{part(integration_id)}")
