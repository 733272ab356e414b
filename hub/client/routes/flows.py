"""Flows: events that start operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.client.results import Flow, FlowTest, Page, Published


class FlowCalls(Calls):
    """Flows: events that start operations."""

    def create_flow(
        self, name: str, event_types: Sequence[str], integration: str, operation: str, **fields: Any
    ) -> Flow:
        """Let events start an operation.

        Args:
            name: of the flow; no other one has it.
            event_types: types, beginnings such as `order.*`, or `*`.
            integration: `int_…`.
            operation: that is executed, once for each event.
            fields: any other of the API: `labels`, `filter`, `mapping`, `publish`, `description`, `paused`.
        """
        body = {"name": name, "event_types": event_types, "integration": integration, **fields}
        made: Flow = self._send("POST", "/v1/flows", {**body, "operation": operation})
        return made

    def get_flow(self, flow_id: str) -> Flow:
        """A flow, `flw_…`; what it started is `list_executions(flow=…)`."""
        found: Flow = self._get(_path(flow_id))
        return found

    def list_flows(
        self, *, integration: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Flow]:
        """A page of flows, into one integration if one is given."""
        page: Page[Flow] = self._get("/v1/flows", integration=integration, limit=limit, cursor=cursor)
        return page

    def update_flow(self, flow_id: str, *, version: int | None = None, **fields: Any) -> Flow:
        """Change a flow; fields that are left out stay. With `paused`, events pass it by.

        Args:
            flow_id: `flw_…`.
            version: that was read; the change is refused (412) if there is another one now.
            fields: any of the API.
        """
        changed: Flow = self._change("PATCH", _path(flow_id), fields, version)
        return changed

    def delete_flow(self, flow_id: str) -> None:
        """Delete a flow; what it started goes on."""
        self._send("DELETE", _path(flow_id))

    def test_flow(
        self, flow_id: str, event_type: str, data: Any = None, *, labels: Sequence[str] = ()
    ) -> FlowTest:
        """What an event would start, and send; nothing is written or sent.

        Args:
            flow_id: `flw_…`.
            event_type: of a sample event.
            data: its data.
            labels: it carries.
        """
        sample = {"type": event_type, "data": data, "labels": list(labels)}
        found: FlowTest = self._send("POST", f"{_path(flow_id)}/test", sample, repeatable=True)
        return found

    def publish_flow(
        self, flow_id: str, executions: Sequence[str], *, event_type: str | None = None
    ) -> list[Published]:
        """Publish once more what the flow makes of executions that have ended; nobody is called.

        Args:
            flow_id: `flw_…`.
            executions: `exe_…`, 20 at most, that the flow started.
            event_type: only the flow's rules for this type.
        """
        body = {"executions": list(executions), "event_type": event_type}
        found: list[Published] = self._send("POST", f"{_path(flow_id)}/publish", body)["data"]
        return found


def _path(flow_id: str) -> str:
    return f"/v1/flows/{part(flow_id)}"
