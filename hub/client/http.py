"""The HTTP door: publish, follow, execute, and look after endpoints, sources, integrations and their history.

Promises: what was answered is committed; a publish or an execution that had to be repeated is done once,
because every such request carries an idempotency key (made here when none is given). One client serves any
number of threads. The methods are in `hub.client.routes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hub.client.closing import Closing
from hub.client.routes.audit import AuditCalls
from hub.client.routes.endpoints import EndpointCalls
from hub.client.routes.event_types import EventTypeCalls
from hub.client.routes.events import EventCalls
from hub.client.routes.executions import ExecutionCalls
from hub.client.routes.flows import FlowCalls
from hub.client.routes.grants import GrantCalls
from hub.client.routes.integrations import IntegrationCalls
from hub.client.routes.replays import ReplayCalls
from hub.client.routes.schedules import ScheduleCalls
from hub.client.routes.sources import SourceCalls
from hub.client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTS = Literal[
    "events",
    "deliveries",
    "replays",
    "endpoints",
    "event_types",
    "sources",
    "integrations",
    "executions",
    "schedules",
    "flows",
    "audit",
]


class HttpClient(
    EventCalls,
    ReplayCalls,
    EndpointCalls,
    EventTypeCalls,
    SourceCalls,
    IntegrationCalls,
    ExecutionCalls,
    ScheduleCalls,
    FlowCalls,
    GrantCalls,
    AuditCalls,
    Closing,
):
    """Talks to the API of one hub with one API key.

    Args:
        base_url: where the hub's API is, e.g. `https://hub.example.com`.
        api_key: `hub_…`; never shown again by this object.
        timeout: seconds for connecting, and for each wait for bytes.
        retries: automatic repeats at most; 0 for none.

    Raises:
        ValueError: the URL or the key is malformed.

    Every method raises:
        HubApiError: the hub refused the request; `errors` names the fields at fault.
        HubUnreachable: no usable answer after all repeats.
    """

    def __init__(self, base_url: str, api_key: str, *, timeout: float = 10.0, retries: int = 4) -> None:
        self._http = Transport(base_url, api_key, timeout=timeout, retries=retries)

    def __repr__(self) -> str:
        return f"HttpClient({self._http.base_url!r})"

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._http.close()

    def iterate(self, what: _LISTS, **filters: Any) -> Iterator[Any]:
        """Every item of a list, page after page: `client.iterate("executions", state="failed")`."""
        cursor: str | None = None
        while True:
            page = getattr(self, f"list_{what}")(**{"limit": 250, **filters, "cursor": cursor})
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
