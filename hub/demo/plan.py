"""What the demo sends, and what has to come of each piece. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from hub.db.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.client.results import EventInput

USERNAME = "demo"
PASSWORD = "correct-horse"  # noqa: S105 - of a service that lives for a minute on loopback
TOKEN = "demo-bearer-token"  # noqa: S105
API_KEY = "demo-provider-key"
#: Sent with each call as `<run>.<name>`, so that the provider's count has a name for it.
CALL_HEADER = "X-Demo-Call"
#: The hub masks its own secrets in answers: an echoed key reads so, and only when it was the right one.
MASKED = "***"

EVENT_TYPES = ("order.created", "order.shipped", "invoice.paid", "invoice.overdue", "customer.updated")
EVENTS = 2_000
LIST_SIZE = 100
#: Published one by one; the rest goes in lists.
SINGLES = 100

_QUICK = {"max_retries": 2, "strategy": "fixed", "base_seconds": 0.1}
_PATIENT = {"max_retries": 20, "strategy": "fixed", "base_seconds": 0.1}
#: httpbin draws one by weight. With 20 retries, one call in 10¹⁰ would not see a 200.
_OFTEN_DOWN = "/status/200:0.7,503:0.3"
_OFTEN_LIMITED = "/status/200:0.7,429:0.3"


@dataclass(frozen=True, slots=True)
class Expected:
    """How a call has to end.

    Args:
        state: of its execution.
        status: of the last answer.
        attempts: how many there are, interruptions aside; None when chance decides.
        echo: where the answer repeats the key that it was called with.
    """

    state: State
    status: int
    attempts: int | None = 1
    echo: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls of one kind.

    Args:
        integration: its name in `integrations`.
        operation: its name there.
        count: how many.
        expected: how each has to end.
    """

    integration: str
    operation: str
    count: int
    expected: Expected


KINDS = (
    Kind("open", "get", 30, Expected(State.DONE, 200)),
    Kind("open", "create", 10, Expected(State.DONE, 201)),
    Kind("open", "missing", 10, Expected(State.FAILED, 404)),
    Kind("open", "limited", 5, Expected(State.FAILED, 429, attempts=3)),
    Kind("open", "down", 5, Expected(State.FAILED, 503, attempts=3)),
    # A POST that may have been done is not done again.
    Kind("open", "submit", 5, Expected(State.FAILED, 500)),
    Kind("unsteady", "often_down", 10, Expected(State.DONE, 200, attempts=None)),
    Kind("unsteady", "often_limited", 5, Expected(State.DONE, 200, attempts=None)),
    Kind("basic", "log_in", 30, Expected(State.DONE, 200)),
    Kind("basic", "other_user", 10, Expected(State.FAILED, 401)),
    Kind("bearer", "log_in", 30, Expected(State.DONE, 200)),
    Kind("key_in_header", "echo", 30, Expected(State.DONE, 200, echo=("headers", "X-Demo-Key"))),
    Kind("key_in_query", "echo", 20, Expected(State.DONE, 200, echo=("args", "demo_key"))),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make: its kind, and the name under which the provider counts it."""

    name: str
    kind: Kind


def calls() -> list[Call]:
    """Every call, the kinds mixed."""
    rounds = max(kind.count for kind in KINDS)
    mixed = [kind for turn in range(rounds) for kind in KINDS if turn < kind.count]
    return [Call(f"call-{number:03d}", kind) for number, kind in enumerate(mixed, 1)]


def integrations(provider_url: str) -> dict[str, dict[str, Any]]:
    """The integrations by name, as the API takes them.

    Args:
        provider_url: where httpbin is.
    """
    basic = {"mode": "basic", "username": USERNAME, "password": PASSWORD}
    header = {"mode": "api_key", "in": "header", "name": "X-Demo-Key", "key": API_KEY}
    query = {"mode": "api_key", "in": "query", "name": "demo_key", "key": API_KEY}
    made: dict[str, dict[str, Any]] = {
        "open": {
            "auth": {"mode": "none"},
            "operations": {
                "get": {"path": "/get"},
                "create": {"method": "POST", "path": "/status/201"},
                "missing": {"path": "/status/404"},
                "limited": {"path": "/status/429"},
                "down": {"path": "/status/503"},
                "submit": {"method": "POST", "path": "/status/500"},
            },
            "health_check": _health_check("/get"),
        },
        "unsteady": {
            "auth": {"mode": "none"},
            "operations": {"often_down": {"path": _OFTEN_DOWN}, "often_limited": {"path": _OFTEN_LIMITED}},
            "retry_policy": _PATIENT,
            "health_check": _health_check("/status/503"),
        },
        "basic": {
            "auth": basic,
            "operations": {
                "log_in": {"path": f"/basic-auth/{USERNAME}/{PASSWORD}"},
                "other_user": {"path": f"/basic-auth/somebody-else/{PASSWORD}"},
            },
        },
        "bearer": {"auth": {"mode": "bearer", "token": TOKEN}, "operations": {"log_in": {"path": "/bearer"}}},
        "key_in_header": {"auth": header, "operations": {"echo": {"path": "/anything"}}},
        "key_in_query": {"auth": query, "operations": {"echo": {"path": "/anything"}}},
    }
    return {
        name: {"name": name, "base_url": provider_url, "retry_policy": _QUICK, **fields}
        for name, fields in made.items()
    }


#: What the health checks have to say in the end.
HEALTH = {"open": "healthy", "unsteady": "unhealthy"}


def _health_check(path: str) -> dict[str, Any]:
    # The provider is busy with the demo's calls: slow is not the point here.
    return {
        "interval_seconds": 1,
        "path": path,
        "timeout_seconds": 10,
        "degraded_after_ms": 10_000,
        "unhealthy_after": 2,
    }


@dataclass(frozen=True, slots=True)
class Receiver:
    """One endpoint and the receiver behind it.

    Args:
        name: of both.
        patterns: which events it takes.
        prefixes: the same for the demo's own types, decided here and not by the hub's matching.
        failures: how many calls of one event in four it answers with 500 before it accepts: often enough to be
            seen, too seldom for the hub to stop calling it.
        gone: it answers 410 to everything.
    """

    name: str
    patterns: tuple[str, ...]
    prefixes: tuple[str, ...]
    failures: int = 0
    gone: bool = False

    def takes(self, event_type: str) -> bool:
        """Whether events of this type have to reach it."""
        return event_type.startswith(self.prefixes)

    def failures_of(self, webhook_id: str) -> int:
        """How many calls of this event it answers with 500."""
        return self.failures if crc32(webhook_id.encode()) % 4 == 0 else 0


RECEIVERS = (
    Receiver("healthy", ("*",), ("",)),
    Receiver("flaky", ("order.*",), ("order.",), failures=2),
    Receiver("gone", ("invoice.*", "customer.updated"), ("invoice.", "customer."), gone=True),
)
#: Two failures take two of these; the others are for a machine that is busy elsewhere.
RETRY_SCHEDULE = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Event:
    """One event to publish; its id is the demo's own."""

    id: str
    type: str

    def as_input(self) -> EventInput:
        """As the API takes it; the id stands in the data too, so that a mix-up shows."""
        return {
            "id": self.id,
            "type": self.type,
            "data": {"event": self.id, "amount": 1999, "currency": "EUR"},
        }


def events() -> list[Event]:
    """Every event."""
    return [Event(f"demo-{n:04d}", EVENT_TYPES[n % len(EVENT_TYPES)]) for n in range(1, EVENTS + 1)]


def expected_ids(receiver: Receiver, published: Sequence[Event]) -> set[str]:
    """The ids of the events that have to reach a receiver."""
    return {event.id for event in published if receiver.takes(event.type)}


def counted(receiver: Receiver, seen: Mapping[str, int]) -> int:
    """How far a receiver is, from its statistics."""
    return seen["calls" if receiver.gone else "accepted"]
