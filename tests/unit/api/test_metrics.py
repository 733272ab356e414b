from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from prometheus_client import REGISTRY

from hub.api import store
from hub.api.metrics import DEPTH_SECONDS, LedgerDepth, RequestMetrics


def count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("hub_http_request_seconds_count", labels) or 0.0


def handler() -> None:
    """Stands for a route's function."""


@pytest.mark.parametrize(
    ("scope", "method", "route"),
    [
        ({"method": "GET", "endpoint": handler}, "GET", "/v1/things/{id}"),
        ({"method": "GET"}, "GET", "unmatched"),
        ({"method": "BREW", "endpoint": handler}, "other", "/v1/things/{id}"),
    ],
)
def test_a_request_is_counted_under_its_template(scope: dict[str, Any], method: str, route: str) -> None:
    before = count(method, route, 200)
    RequestMetrics({handler: "/v1/things/{id}"}).observe(scope, 200, 0.01)
    assert count(method, route, 200) == before + 1


def test_the_ledger_is_read_once_in_the_time_that_a_count_is_good_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = []

    def depths(_: object) -> list[store.Depth]:
        reads.append(1)
        return [store.Depth("message", len(reads), 0, 0.0)]

    monkeypatch.setattr(store, "ledger_depths", depths)
    now = [100.0]
    depth = LedgerDepth(MagicMock(), clock=lambda: now[0])

    def due() -> float:
        family = next(f for f in depth.collect() if f.name == "hub_ledger_rows")
        return next(s.value for s in family.samples if s.labels["state"] == "due")

    assert (due(), due()) == (1, 1)
    now[0] += DEPTH_SECONDS
    assert due() == 2
