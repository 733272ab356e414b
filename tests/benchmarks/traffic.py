"""Traffic for the hub: what is sent, and what the load generator measured of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import program
from tests.benchmarks.running import Bench

EVENT_TYPE = "invoice.paid"
#: What a small event looks like; the plain Celery task posts the same.
DATA = {
    "invoice": "in_01J9Z8Y7X6W5V4T3S2R1",
    "customer": {"id": "cus_42", "name": "Ada Lovelace", "email": "ada@example.com"},
    "amount": 129900,
    "currency": "EUR",
    "paid_at": "2026-01-31T12:00:00Z",
    "lines": [
        {"sku": "pro-plan", "quantity": 3, "unit": 39900},
        {"sku": "seat", "quantity": 10, "unit": 1020},
    ],
}
_EVENT = {"type": EVENT_TYPE, "data": DATA}
LIST_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one run of the generator; Unix times in seconds, in the order of the answers.

    Args:
        due: when each request was due: sent, or would have been with a free connection.
        answered: when its answer was there.
        ids: the first id of each answer, when asked for.
    """

    due: list[float]
    answered: list[float]
    ids: list[str]

    @property
    def rate(self) -> float:
        """Answers for each second from the first request to the last answer."""
        return len(self.answered) / (max(self.answered) - min(self.due))

    @property
    def seconds(self) -> list[float]:
        """How long each request took."""
        return [done - due for due, done in zip(self.due, self.answered, strict=True)]


def publish(
    bench: Bench,
    *,
    lists: bool,
    connections: int,
    rate: float | None = None,
    seconds: float | None = None,
    requests: int | None = None,
    ids: bool = False,
) -> Sent:
    """Publish events: single ones, or lists of `LIST_LENGTH`.

    Args:
        bench: the run.
        lists: whether each request carries a list.
        connections: kept alive.
        rate: requests per second, whatever the answers do; None sends the next one after each answer.
        seconds: for so long.
        requests: so many, when `seconds` is None.
        ids: keep the ids of single events.
    """
    body = json.dumps([_EVENT] * LIST_LENGTH if lists else _EVENT)
    return send(
        bench, "/v1/events", body, expected=202, connections=connections, rate=rate, seconds=seconds,
        requests=requests, ids=ids,
    )  # fmt: skip


def send(
    bench: Bench,
    path: str,
    body: str,
    *,
    expected: int,
    connections: int,
    headers: dict[str, str] | None = None,
    rate: float | None = None,
    seconds: float | None = None,
    requests: int | None = None,
    ids: bool = False,
) -> Sent:
    """Post one body to the hub, again and again; see `publish`.

    Raises:
        NoResult: an answer has another status, or a connection broke.
    """
    spec: dict[str, Any] = {
        "port": bench.port,
        "path": path,
        "headers": {**bench.headers, **(headers or {})},
        "body": body,
        "connections": connections,
        "expected": expected,
        "rate": rate,
        "seconds": seconds,
        "requests": requests,
        "ids": ids,
    }
    return Sent(**program.run("tests.benchmarks.load", spec, seconds=60))
