"""Events and their deliveries."""

# ruff: noqa: A002 - `type`, `id` and `input` are the fields' names

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from hub.client.calls import Calls, part
from hub.client.encoding import event_to_json, to_json
from hub.client.streaming import EventStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from hub.client.results import (
        Delivery,
        DeliveryDetail,
        DryRun,
        Event,
        EventDetail,
        EventInput,
        EventOptions,
        InvalidReceipt,
        Page,
        Receipt,
        Resent,
    )


class EventCalls(Calls):
    """Events and their deliveries."""

    def publish(
        self,
        type: str,
        data: Any,
        id: str | None = None,
        idempotency_key: str | None = None,
        *,
        labels: Sequence[str] | None = None,
        ordering_key: str | None = None,
        deliver_at: datetime | str | None = None,
        expires_at: datetime | str | None = None,
    ) -> Receipt:
        """Publish one event; it is committed when this returns.

        Args:
            type: dotted event type, e.g. `invoice.paid`.
            data: any JSON value, or a `Json`; receivers get exactly the bytes that are made of it here.
            id: your own id, which becomes the `webhook-id`: publishing it twice, ever, is one event.
            idempotency_key: the same request with the same key is done once; made here when not given.
            labels: endpoints that ask for labels get it when they share one.
            ordering_key: events of one key reach endpoints with strict ordering one after the other.
            deliver_at: not before this moment: a time with its zone, or RFC 3339 text.
            expires_at: what is not delivered by then is not sent any more.
        """
        event = _event(
            type,
            data,
            id=id,
            labels=labels,
            ordering_key=ordering_key,
            deliver_at=deliver_at,
            expires_at=expires_at,
        )
        receipt: Receipt = self._post("/v1/events", event_to_json(event), idempotency_key)
        return receipt

    @overload
    def publish_many(
        self, events: Sequence[EventInput], idempotency_key: str | None = None
    ) -> list[Receipt]: ...
    @overload
    def publish_many(
        self, events: Sequence[EventInput], idempotency_key: str | None = None, *, partial: bool
    ) -> list[Receipt | InvalidReceipt]: ...
    def publish_many(
        self, events: Sequence[EventInput], idempotency_key: str | None = None, *, partial: bool = False
    ) -> list[Receipt] | list[Receipt | InvalidReceipt]:
        """Publish 1 to 1,000 events in one request; all are committed when this returns.

        Args:
            events: `{"type": …, "data": …}`, each with an `id` of yours and the options of `publish` if you like.
            idempotency_key: as for `publish`, for the whole list.
            partial: accept those that can be accepted; otherwise all or none.

        Returns:
            A receipt for each event, in order.
        """
        body = "[" + ",".join(map(event_to_json, events)) + "]"
        query = {"partial": "true"} if partial else None
        receipts: list[Receipt] = self._post("/v1/events", body, idempotency_key, query=query)["data"]
        return receipts

    def dry_run_event(
        self, type: str, data: Any, *, endpoint: str | None = None, **options: Unpack[EventOptions]
    ) -> DryRun:
        """What would become of an event: nothing is written or sent.

        Args:
            type: dotted event type.
            data: any JSON value, or a `Json`.
            endpoint: `ep_…`: ask about this one only, whatever it subscribes to.
            options: of the event, as for `publish`.
        """
        body = event_to_json(_event(type, data, **options))
        answer: DryRun = self._http.request(
            "POST", "/v1/events/dry-run", body=body, query={"endpoint": endpoint}, repeatable=True
        )[1]
        return answer

    def cancel_event(self, event_id: str) -> Event:
        """Take back an event, `msg_…`, whose `deliver_at` has not come; 409 when it is too late."""
        event: Event = self._send("POST", f"/v1/events/{part(event_id)}/cancel")
        return event

    def resend_event(
        self, event_id: str, *, endpoint: str | None = None, idempotency_key: str | None = None
    ) -> Resent:
        """Send an event again, with the same `webhook-id`.

        Args:
            event_id: `msg_…`.
            endpoint: `ep_…`: to this one; None: to every endpoint that takes it now.
            idempotency_key: the same request with the same key is done once; made here when not given.
        """
        path = f"/v1/events/{part(event_id)}/resend"
        sent: Resent = self._post(path, to_json({"endpoint": endpoint}), idempotency_key)
        return sent

    def get_event(self, event_id: str) -> EventDetail:
        """An event, `msg_…`, with its payload."""
        event: EventDetail = self._get(f"/v1/events/{part(event_id)}")
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
        return EventStream(self._http, query, after=after, notify=notify)

    def get_delivery(self, delivery_id: str) -> DeliveryDetail:
        """A delivery, `dlv_…`, with every attempt."""
        delivery: DeliveryDetail = self._get(f"/v1/deliveries/{part(delivery_id)}")
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
        path = "/v1/deliveries" if event is None else f"/v1/events/{part(event)}/deliveries"
        page: Page[Delivery] = self._get(path, endpoint=endpoint, state=state, limit=limit, cursor=cursor)
        return page

    def resend_delivery(self, delivery_id: str) -> Delivery:
        """Send a delivery again, with the same `webhook-id`."""
        delivery: Delivery = self._send("POST", f"/v1/deliveries/{part(delivery_id)}/resend")
        return delivery


def _event(type: str, data: Any, **options: Any) -> dict[str, Any]:
    """The JSON of an event; what is not given is left out."""
    return {"type": type, "data": data} | {
        name: _labels(value) if name == "labels" else value
        for name, value in options.items()
        if value is not None
    }


def _labels(value: Sequence[str]) -> list[str]:
    # Both are iterable, and would become labels of a letter each, or of keys.
    if isinstance(value, str | bytes | Mapping):
        raise TypeError(f"labels must be a list of texts, not a {type(value).__name__}")
    return list(value)
