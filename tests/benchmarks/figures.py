"""A measured figure, what is promised about it, and the statistics that figures are made of. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the report.

    Args:
        name: what was measured, in words.
        value: the number.
        unit: `1/s`, `s`, `ms`, `MB`, `%`, `x`, or empty for a count.
        at_least: the promise, when more is better.
        at_most: the promise, when less is better.
        note: how it was measured, where the name does not say.
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the promise is kept; None when there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most is not None else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` % of the values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def latency_figures(
    name: str,
    seconds: Sequence[float],
    *,
    p95_at_most: float | None = None,
    p99_at_most: float | None = None,
    note: str = "",
) -> list[Figure]:
    """p50, p95 and p99 in milliseconds.

    Args:
        name: what took so long.
        seconds: one value for each sample.
        p95_at_most: the promise about p95, milliseconds.
        p99_at_most: the promise about p99, milliseconds.
        note: shown with each.
    """
    bounds = {95: p95_at_most, 99: p99_at_most}
    return [
        Figure(f"{name}, p{p}", percentile(seconds, p) * 1000, "ms", at_most=bounds.get(p), note=note)
        for p in (50, 95, 99)
    ]
