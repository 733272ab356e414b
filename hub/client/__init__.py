"""What other services import to use the hub. It knows the message contracts and nothing else of the product.

Over HTTP, answered when the event or execution is committed:

    from hub.client import HttpClient

    hub = HttpClient("https://hub.example.com", os.environ["HUB_API_KEY"])
    receipt = hub.publish("invoice.paid", {"invoice": "in_42"}, id="invoice-in_42-paid", labels=["eu"])
    done = hub.execute("int_0199…", "get_user", {"path": {"id": 42}}, wait=10)

Through the broker, for services that have Celery and no route to the API; a worker of the hub writes the row:

    from hub.client import CeleryClient

    hub = CeleryClient("redis://broker/0", tenant="ten_0199…")
    event_id = hub.publish("invoice.paid", {"invoice": "in_42"})
    key = hub.execute("int_0199…", "get_user", {"path": {"id": 42}})

In SQL, inside a transaction of your own on the hub's database; what rolls back was never published:

    BEGIN;
    UPDATE invoice SET paid = true WHERE id = 42;
    SELECT hub.publish_event('ten_0199…', 'invoice.paid', '{"invoice": "in_42"}', 'invoice-in_42-paid');
    SELECT hub.execute_integration('ten_0199…', 'int_0199…', 'get_user', '{"path": {"id": 42}}');
    COMMIT;

Your role needs `USAGE` on the schema `hub` and `EXECUTE` on these functions, and no right on any table.

All three make the same row.

What a receiver calls on each webhook, and what shows the events of a tenant as they are accepted:

    from hub.client.verify import VerificationFailed, verify

    event = verify(request.get_data(), request.headers, os.environ["WEBHOOK_SECRET"])  # raises VerificationFailed

    with hub.stream_events(types=["invoice.*"]) as events:
        for event in events:
            print(event.type, event.data)

In your own tests, executions that were recorded with `hub executions record` answer without a hub:

    from hub.client.testing import FixtureClient

    hub = FixtureClient("tests/fixtures")

Errors: see `hub.client.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hub.client.encoding import Json
from hub.client.errors import BrokerUnavailable, FieldProblem, HubApiError, HubClientError, HubUnreachable

if TYPE_CHECKING:
    from hub.client.celery import CeleryClient
    from hub.client.http import HttpClient
    from hub.client.verify import VerificationFailed

__all__ = [
    "BrokerUnavailable",
    "CeleryClient",
    "FieldProblem",
    "HttpClient",
    "HubApiError",
    "HubClientError",
    "HubUnreachable",
    "Json",
    "VerificationFailed",
]

# `verify` itself is not here: `hub.client.verify` is the module that holds it.
_LAZY = {
    "HttpClient": "hub.client.http",
    "CeleryClient": "hub.client.celery",
    "VerificationFailed": "hub.client.verify",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: users of HTTP do not load Celery, nor the other way round, receivers neither."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
