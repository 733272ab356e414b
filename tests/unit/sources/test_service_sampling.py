"""How many requests of a flood are written down."""

from __future__ import annotations

from hub.core.ids import new_uuid
from hub.sources.sampling import BURST, PER_SECOND, Sampler


def test_a_burst_is_kept_whole_and_of_a_flood_a_few_a_second() -> None:
    sampler, source = Sampler(), new_uuid()
    taken = sum(sampler.take(source, n / 1_000) for n in range(10_000))
    assert BURST + 9 * PER_SECOND <= taken <= BURST + 10 * PER_SECOND


def test_one_source_does_not_spend_the_share_of_another() -> None:
    sampler, flooded, quiet = Sampler(), new_uuid(), new_uuid()
    for _ in range(1_000):
        sampler.take(flooded, 0.0)
    assert not sampler.take(flooded, 0.0)
    assert sampler.take(quiet, 0.0)


def test_made_up_sources_do_not_fill_the_memory() -> None:
    sampler = Sampler()
    for _ in range(10_500):
        sampler.take(new_uuid(), 0.0)
    assert len(sampler._buckets) == 10_000
