from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.integrations.metrics import BOUNDS_MS
from hub.monitoring.windows import Numbers, quantile, summarise


def histogram(latencies: list[float]) -> list[int]:
    counts = [0] * (len(BOUNDS_MS) + 1)
    for latency in latencies:
        counts[bisect_left(BOUNDS_MS, latency)] += 1
    return list(accumulate(counts))[:-1]


def test_no_calls_have_no_rates() -> None:
    assert summarise(0, 0, 0.0, 0, [0] * len(BOUNDS_MS), 300) == Numbers()


def test_rates_are_made_of_counts() -> None:
    numbers = summarise(8, 2, 400.0, 1024, histogram([50.0] * 8), 300)
    assert (numbers.success_rate, numbers.average_latency_ms, numbers.bytes) == (0.75, 50.0, 1024)
    assert numbers.throughput_per_second == pytest.approx(8 / 300, abs=1e-6)


@given(st.lists(st.floats(0.1, 29_999), min_size=1, max_size=200))
def test_the_estimate_lies_in_the_bucket_of_the_real_quantile(latencies: list[float]) -> None:
    ordered = sorted(latencies)
    real = ordered[max(0, -(-95 * len(ordered) // 100) - 1)]
    upper = BOUNDS_MS[bisect_left(BOUNDS_MS, real)]
    index = BOUNDS_MS.index(upper)
    lower = BOUNDS_MS[index - 1] if index else 0
    assert lower <= quantile(histogram(latencies), len(latencies), 0.95) <= upper


def test_beyond_the_last_bound_the_last_bound_is_said() -> None:
    assert quantile(histogram([90_000.0] * 5), 5, 0.95) == BOUNDS_MS[-1]
