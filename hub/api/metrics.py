"""What Prometheus scrapes: requests by route, how much work waits in the ledger. No tenant's data, no ids."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from hub.api import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from prometheus_client.core import Metric
    from sqlalchemy import Engine
    from starlette.types import Scope

log = logging.getLogger(__name__)

#: How long a count of the ledger is given out again, in seconds, however often it is scraped.
DEPTH_SECONDS = 5.0

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = "unmatched"

_requests = Histogram(
    "hub_http_request_seconds",
    "Requests by route template, from the first byte to the last.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class RequestMetrics:
    """Counts and times requests.

    Args:
        templates: handler → the path template under which it is mounted. Anything else is counted together:
            paths that a stranger makes up must not become time series.
    """

    def __init__(self, templates: Mapping[Any, str]) -> None:
        self._templates = templates
        # labels() costs more than the rest of the measurement together.
        self._series: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Note one request; status 0 is one that got no answer."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        key = (method, self._templates.get(scope.get("endpoint"), _UNMATCHED), status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _requests.labels(*key)
        series.observe(seconds)


class LedgerDepth(Collector):
    """Rows that wait or are being worked on, read from partial indexes, at most every `DEPTH_SECONDS`.

    Args:
        engine: a connection kept apart from the requests', so that a busy pool does not hide its own reason.
        clock: monotonic seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._depths: list[store.Depth] | None = None
        self._until = float("-inf")

    def collect(self) -> Iterable[Metric]:
        """The gauges; only `hub_ledger_readable 0` while the database does not answer."""
        with self._lock:
            if self._clock() >= self._until:
                self._depths = self._read()
                self._until = self._clock() + DEPTH_SECONDS
            depths = self._depths
        readable = GaugeMetricFamily("hub_ledger_readable", "1 when the database answered the last count.")
        readable.add_metric((), 0 if depths is None else 1)
        rows = GaugeMetricFamily(
            "hub_ledger_rows", f"Live rows, counted up to {store.MAX_DEPTH}.", labels=("table", "state")
        )
        oldest = GaugeMetricFamily(
            "hub_ledger_oldest_due_seconds", "How long the oldest due row has waited.", labels=("table",)
        )
        for depth in depths or ():
            rows.add_metric((depth.table, "due"), depth.due)
            rows.add_metric((depth.table, "leased"), depth.leased)
            oldest.add_metric((depth.table,), depth.oldest_due_seconds)
        return (readable, rows, oldest)

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask the database."""
        return ()

    def _read(self) -> list[store.Depth] | None:
        try:
            with self._engine.connect() as conn:
                return store.ledger_depths(conn)
        except SQLAlchemyError as error:
            log.warning("The ledger could not be counted (%s).", type(error).__name__)
            return None


def exposition(depth: LedgerDepth) -> bytes:
    """Everything that this process measures, in Prometheus' text format. Blocks on the database."""
    ledger = CollectorRegistry(auto_describe=False)
    ledger.register(depth)
    return generate_latest(REGISTRY) + generate_latest(ledger)
