from __future__ import annotations

import pytest

from hub.webhooks.endpoints.summary import percentile
from hub.webhooks.models import LATENCY_BOUNDS


def slots(**counts: int) -> list[int]:
    return [counts.get(f"le_{bound}", 0) for bound in LATENCY_BOUNDS]


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ({}, 0, None),
        ({"le_10": 1}, 1, 10.0),
        ({"le_10": 95, "le_500": 5}, 100, 10.0),
        ({"le_10": 94, "le_500": 6}, 100, 500.0),
        ({"le_10": 90}, 100, 60_000.0),
        ({"le_30000": 3}, 3, 30_000.0),
    ],
)
def test_the_95th_percentile_is_the_upper_bound_of_its_slot(
    counts: dict[str, int], total: int, expected: float | None
) -> None:
    assert percentile(slots(**counts), total, 0.95) == expected
