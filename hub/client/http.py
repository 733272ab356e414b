"""The HTTP door: publish, execute, and look after endpoints, integrations and their history.

Promises: what was answered is committed; a publish or an execution that had to be repeated is done once,
because every such request carries an idempotency key (made here when none is given). One client serves any
number of threads.
"""

# ruff: noqa: A002 - `type`, `id` and `input` are the fields' names

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, overload
from urllib.parse import quote

from hub.client.encoding import event_to_json, to_json
from hub.client.streaming import EventStream
from hub.client.transport import Transport
from hub.core.ids import new_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from hub.client.results import (
        Accepted,
        Delivery,
        DeliveryDetail,
        Endpoint,
        EndpointDetail,
        EndpointSecret,
        EndpointStatistics,
        EndpointSwitched,
        Event,
        EventDetail,
        EventInput,
        Execution,
        ExecutionDetail,
        ImportReport,
        Integration,
        Page,
        Receipt,
        SentTest,
    )

_LISTS = Literal["events", "deliveries", "endpoints", "integrations", "executions"]


class HttpClient:
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
        self._retries = retries

    def __repr__(self) -> str:
        return f"HttpClient({self._http.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._http.close()

    # -- events ----------------------------------------------------------------------------------------------

    def publish(
        self, type: str, data: Any, id: str | None = None, idempotency_key: str | None = None
    ) -> Receipt:
        """Publish one event; it is committed when this returns.

        Args:
            type: dotted event type, e.g. `invoice.paid`.
            data: any JSON value, or a `Json`; receivers get exactly the bytes that are made of it here.
            id: your own id, which becomes the `webhook-id`: publishing it twice, ever, is one event.
            idempotency_key: the same request with the same key is done once; made here when not given.
        """
        event: EventInput = {"type": type, "data": data}
        if id is not None:
            event["id"] = id
        receipt: Receipt = self._post("/v1/events", event_to_json(event), idempotency_key)[1]
        return receipt

    def publish_many(self, events: Sequence[EventInput], idempotency_key: str | None = None) -> list[Receipt]:
        """Publish 1 to 1,000 events in one request; all are committed when this returns.

        Args:
            events: `{"type": …, "data": …}`, each with an `id` of yours if you like.
            idempotency_key: as for `publish`, for the whole list.

        Returns:
            A receipt for each event, in order.
        """
        body = "[" + ",".join(map(event_to_json, events)) + "]"
        receipts: list[Receipt] = self._post("/v1/events", body, idempotency_key)[1]["data"]
        return receipts

    def get_event(self, event_id: str) -> EventDetail:
        """An event, `msg_…`, with its payload."""
        event: EventDetail = self._get(f"/v1/events/{_part(event_id)}")
        return event

    def list_events(
        self, *, type: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Event]:
        """A page of events, of one type if one is given."""
        page: Page[Event] = self._get("/v1/events", type=type, limit=limit, cursor=cursor)
        return page

    def stream_events(
        self,
        *,
        types: Iterable[str] = (),
        labels: Iterable[str] = (),
        kind: Literal["events", "operations"] | None = None,
        after: str | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> EventStream:
        """Follow events as they are accepted; connected when this returns, and again whenever that breaks.

        Args:
            types: event types, prefixes such as `invoice.*`; none for all.
            labels: only events that carry one of them.
            kind: `operations`: what the hub says about endpoints and deliveries; None: both.
            after: `msg_…` to resume after, with some of the seconds before it; None: from now on.
            notify: told in a sentence when the connection broke, and when it is back.

        Returns:
            To iterate over, and to close: `with hub.stream_events(types=["invoice.*"]) as events: …`.
        """
        query = {"types": ",".join(types) or None, "labels": ",".join(labels) or None, "kind": kind}
        return EventStream(self._http, query, after=after, notify=notify, retries=self._retries)

    # -- executions ------------------------------------------------------------------------------------------

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

        Returns:
            `id` and `state`; everything, also `result` and `error`, when it ended within the wait.
        """
        body = to_json({"operation": operation, "input": dict(input or {})})
        headers = {} if wait is None else {"Prefer": f"wait={max(0, round(wait))}"}
        answer: Accepted | ExecutionDetail = self._post(
            f"/v1/integrations/{_part(integration)}/execute",
            body,
            idempotency_key,
            headers=headers,
            extra_wait=wait or 0.0,
        )[1]
        return answer

    def get_execution(self, execution_id: str) -> ExecutionDetail:
        """An execution, `exe_…`, with its result and every attempt."""
        execution: ExecutionDetail = self._get(f"/v1/executions/{_part(execution_id)}")
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
        execution: ExecutionDetail = self._send("POST", f"/v1/executions/{_part(execution_id)}/cancel")
        return execution

    # -- deliveries ------------------------------------------------------------------------------------------

    def get_delivery(self, delivery_id: str) -> DeliveryDetail:
        """A delivery, `dlv_…`, with every attempt."""
        delivery: DeliveryDetail = self._get(f"/v1/deliveries/{_part(delivery_id)}")
        return delivery

    def list_deliveries(
        self,
        *,
        event: str | None = None,
        endpoint: str | None = None,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Delivery]:
        """A page of deliveries: of one event (`msg_…`), or to one endpoint or in one state."""
        if event is not None and (endpoint is not None or state is not None):
            raise ValueError("deliveries of one event cannot be narrowed to an endpoint or a state")
        path = "/v1/deliveries" if event is None else f"/v1/events/{_part(event)}/deliveries"
        page: Page[Delivery] = self._get(path, endpoint=endpoint, state=state, limit=limit, cursor=cursor)
        return page

    def resend_delivery(self, delivery_id: str) -> Delivery:
        """Send a delivery again, with the same `webhook-id`."""
        delivery: Delivery = self._send("POST", f"/v1/deliveries/{_part(delivery_id)}/resend")
        return delivery

    # -- endpoints and integrations --------------------------------------------------------------------------

    def create_endpoint(self, **fields: Any) -> EndpointSecret:
        """Make an endpoint: `name`, `url`, any field of the API. Its secret is in this answer only."""
        endpoint: EndpointSecret = self._send("POST", "/v1/endpoints", fields)
        return endpoint

    def get_endpoint(self, endpoint_id: str) -> EndpointDetail:
        """An endpoint, `ep_…`, and how it did in the last 24 hours."""
        endpoint: EndpointDetail = self._get(f"/v1/endpoints/{_part(endpoint_id)}")
        return endpoint

    def list_endpoints(self, *, limit: int = 50, cursor: str | None = None) -> Page[Endpoint]:
        """A page of endpoints."""
        page: Page[Endpoint] = self._get("/v1/endpoints", limit=limit, cursor=cursor)
        return page

    def update_endpoint(self, endpoint_id: str, *, version: int | None = None, **fields: Any) -> Endpoint:
        """Change an endpoint; fields that are left out stay. `status="active"` sends what was held.

        Args:
            endpoint_id: `ep_…`.
            version: that was read; the change is refused (412) if there is another one now.
            fields: any of the API.
        """
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        endpoint: Endpoint = self._http.request(
            "PATCH",
            f"/v1/endpoints/{_part(endpoint_id)}",
            body=to_json(fields),
            headers=headers,
            # A repeat of what was done would find the next version.
            repeatable=version is None,
        )[1]
        return endpoint

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Delete an endpoint; what waits for it is cancelled."""
        self._send("DELETE", f"/v1/endpoints/{_part(endpoint_id)}")

    def pause_endpoint(self, endpoint_id: str, *, discard: bool = False) -> EndpointSwitched:
        """Hold what is for an endpoint; with `discard`, cancel what waits for it now."""
        return self._switch(endpoint_id, "pause", discard=discard)

    def resume_endpoint(self, endpoint_id: str, *, discard: bool = False) -> EndpointSwitched:
        """Send what was held for an endpoint; with `discard`, cancel it instead."""
        return self._switch(endpoint_id, "resume", discard=discard)

    def verify_endpoint(self, endpoint_id: str) -> Endpoint:
        """Have an endpoint's receiver answer a challenge; 409 when it does not."""
        path = f"/v1/endpoints/{_part(endpoint_id)}/verify"
        endpoint: Endpoint = self._send("POST", path, extra_wait=11.0)
        return endpoint

    def test_endpoint(
        self, endpoint_id: str, *, type: str | None = None, data: Any = None, wait: float = 0.0
    ) -> SentTest:
        """Send a test event to one endpoint.

        Args:
            endpoint_id: `ep_…`.
            type: an event type; `endpoint.test` when not given.
            data: any JSON value; a small object when not given.
            wait: seconds, up to 15, to wait for the first attempt.
        """
        fields = {name: value for name, value in (("type", type), ("data", data)) if value is not None}
        path = f"/v1/endpoints/{_part(endpoint_id)}/test"
        sent: SentTest = self._send("POST", path, fields, query={"wait": wait}, extra_wait=wait)
        return sent

    def endpoint_statistics(self, endpoint_id: str, *, period: str = "24h") -> EndpointStatistics:
        """How an endpoint did in the last `1h`, `24h`, `7d` or `30d`, and what holds its deliveries back."""
        path = f"/v1/endpoints/{_part(endpoint_id)}/statistics"
        statistics: EndpointStatistics = self._get(path, period=period)
        return statistics

    def rotate_endpoint_secret(self, endpoint_id: str, **fields: Any) -> EndpointSecret:
        """Give an endpoint a new signing secret, or `secret`; the old one signs too for `overlap_seconds`."""
        path = f"/v1/endpoints/{_part(endpoint_id)}/secret/rotate"
        endpoint: EndpointSecret = self._send("POST", path, fields)
        return endpoint

    def rotate_endpoint_key(self, endpoint_id: str, **fields: Any) -> Endpoint:
        """Give an endpoint a new ed25519 key; the old one signs too for `overlap_seconds`."""
        endpoint: Endpoint = self._send("POST", f"/v1/endpoints/{_part(endpoint_id)}/key/rotate", fields)
        return endpoint

    def import_endpoints(
        self, endpoints: Sequence[Mapping[str, Any]], *, partial: bool = False, dry_run: bool = False
    ) -> ImportReport:
        """Make up to 1,000 endpoints: all or none, unless `partial`; `dry_run` only judges them."""
        body = {"endpoints": list(endpoints), "partial": partial, "dry_run": dry_run}
        report: ImportReport = self._send("POST", "/v1/endpoints/import", body, extra_wait=120.0)
        return report

    def create_integration(self, **fields: Any) -> Integration:
        """Make an integration: `name`, `base_url`, and any other field of the API."""
        integration: Integration = self._send("POST", "/v1/integrations", fields)
        return integration

    def get_integration(self, integration_id: str) -> Integration:
        """An integration, `int_…`."""
        integration: Integration = self._get(f"/v1/integrations/{_part(integration_id)}")
        return integration

    def list_integrations(
        self, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Integration]:
        """A page of integrations, in one status if one is given."""
        page: Page[Integration] = self._get("/v1/integrations", status=status, limit=limit, cursor=cursor)
        return page

    def update_integration(self, integration_id: str, **fields: Any) -> Integration:
        """Change an integration; fields that are left out stay."""
        integration: Integration = self._send("PATCH", f"/v1/integrations/{_part(integration_id)}", fields)
        return integration

    def delete_integration(self, integration_id: str) -> None:
        """Delete an integration; its executions stay readable."""
        self._send("DELETE", f"/v1/integrations/{_part(integration_id)}")

    def iterate(self, what: _LISTS, **filters: Any) -> Iterator[Any]:
        """Every item of a list, page after page: `client.iterate("executions", state="failed")`."""
        cursor: str | None = None
        while True:
            page = getattr(self, f"list_{what}")(**{"limit": 250, **filters, "cursor": cursor})
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _switch(self, endpoint_id: str, action: str, *, discard: bool) -> EndpointSwitched:
        path = f"/v1/endpoints/{_part(endpoint_id)}/{action}"
        body = {"backlog": "discard" if discard else "send"}
        endpoint: EndpointSwitched = self._send("POST", path, body, extra_wait=30.0)
        return endpoint

    # -- requests --------------------------------------------------------------------------------------------

    def _get(self, path: str, **query: Any) -> Any:
        return self._http.request("GET", path, query=query, repeatable=True)[1]

    def _post(
        self,
        path: str,
        body: str,
        key: str | None,
        *,
        headers: Mapping[str, str] | None = None,
        extra_wait: float = 0.0,
    ) -> tuple[int, Any]:
        sent = {"Idempotency-Key": key or new_uuid().hex, **(headers or {})}
        return self._http.request(
            "POST", path, body=body, headers=sent, repeatable=True, extra_wait=extra_wait
        )

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        extra_wait: float = 0.0,
    ) -> Any:
        """Without an idempotency key: a POST is repeated only when nothing was accepted."""
        text = None if body is None else to_json(body)
        return self._http.request(
            method, path, body=text, query=query, repeatable=method != "POST", extra_wait=extra_wait
        )[1]


def _part(text: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(text, safe="") or "-"
