"""Traffic for the hub: what is sent, and what the load generator measured of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import program
from tests.benchmarks.running import Bench

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
LIST_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one run of the generator; Unix times in seconds, in the order of the answers.

    Args:
        due: when each request was due: sent, or would have been with a free connection.
        answered: when its answer was there.
        numbers: of each request, from 0.
        ids: the first id of each answer, when asked for.
        cpu: what the generator took of one core, 0 to 1.
        lag: how late the generator itself was, p99 in seconds; 0 in a closed loop.
    """

    due: list[float]
    answered: list[float]
    numbers: list[int]
    ids: list[str]
    cpu: float
    lag: float

    @property
    def rate(self) -> float:
        """Answers for each second from the first request to the last answer."""
        return len(self.answered) / (max(self.answered) - min(self.due))

    @property
    def seconds(self) -> list[float]:
        """How long each request took."""
        return [done - due for due, done in zip(self.due, self.answered, strict=True)]


def event(type_: str, **fields: Any) -> dict[str, Any]:
    """One event."""
    return {"type": type_, "data": DATA, **fields}


def publish(
    bench: Bench,
    *,
    connections: int,
    lists: bool = False,
    types: Sequence[str] = (),
    headers: dict[str, str] | None = None,
    rate: float | None = None,
    seconds: float | None = None,
    requests: int | None = None,
    ids: bool = False,
) -> Sent:
    """Publish events: single ones, or lists of `LIST_LENGTH`.

    Args:
        bench: the run.
        connections: kept alive.
        lists: whether each request carries a list, of the first type.
        types: of the events, in turn; the usual endpoint's when empty.
        headers: of another tenant than the first.
        rate: requests per second, whatever the answers do; None sends the next one after each answer.
        seconds: for so long.
        requests: so many, when `seconds` is None.
        ids: keep the ids of single events.
    """
    types = types or bench.home.types
    events = [[event(types[0])] * LIST_LENGTH] if lists else [event(one) for one in types]
    return send(
        bench, "/v1/events", [json.dumps(one) for one in events], expected=202, connections=connections,
        headers=headers, rate=rate, seconds=seconds, requests=requests, ids=ids,
    )  # fmt: skip


def send(
    bench: Bench,
    path: str,
    bodies: Sequence[str],
    *,
    expected: int,
    connections: int,
    headers: dict[str, str] | None = None,
    rate: float | None = None,
    seconds: float | None = None,
    requests: int | None = None,
    ids: bool = False,
) -> Sent:
    """Post bodies to the hub in turn; see `publish`. `{n}` in a header stands for the request's number.

    Raises:
        NoResult: an answer has another status, or a connection broke.
    """
    spec: dict[str, Any] = {
        "port": bench.port,
        "path": path,
        "headers": {**bench.headers, **(headers or {})},
        "bodies": list(bodies),
        "connections": connections,
        "expected": expected,
        "rate": rate,
        "seconds": seconds,
        "requests": requests,
        "ids": ids,
    }
    return Sent(**program.run("tests.benchmarks.load", spec, seconds=(seconds or 0) + 60))
