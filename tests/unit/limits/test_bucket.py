"""A bucket's numbers are sane before they reach Redis."""

from __future__ import annotations

import pytest

from hub.limits.rates import MAX_RATE, Bucket


@pytest.mark.parametrize(
    ("limit", "period", "burst"),
    [
        (0, 1.0, 1),
        (-1, 1.0, 1),
        (float("inf"), 1.0, 1),
        (float("nan"), 1.0, 1),
        (1, 0.0, 1),
        (1, -1.0, 1),
        (1, float("nan"), 1),
        (1, float("inf"), 1),
        (1, 1.0, 0),
        (1, 1.0, -5),
        (MAX_RATE + 1, 1.0, 1),
        (1, 0.5 / MAX_RATE, 1),
    ],
)
def test_nonsense_is_refused(limit: float, period: float, burst: int) -> None:
    with pytest.raises(ValueError):
        Bucket("b", limit, period, burst)


@pytest.mark.parametrize(
    ("limit", "period", "burst"), [(MAX_RATE, 1.0, 1), (0.001, 1.0, 1), (1, 86_400.0, 1000), (None, 1.0, 1)]
)
def test_everything_else_is_a_bucket(limit: float | None, period: float, burst: int) -> None:
    assert Bucket("b", limit, period, burst).key == "b"
