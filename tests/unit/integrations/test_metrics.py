from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.core.ids import new_uuid
from hub.integrations.metrics import BOUNDS_MS, Sample, fold

AT = datetime(2026, 11, 22, 12, 0, 59, 999_000, tzinfo=UTC)
TENANT, ONE, OTHER = new_uuid(), new_uuid(), new_uuid()


def test_calls_are_summed_by_integration_and_minute() -> None:
    buckets = fold(
        [
            Sample(TENANT, OTHER, AT, ok=True, latency_ms=5, size=1),
            Sample(TENANT, ONE, AT + timedelta(seconds=1), ok=True, latency_ms=5, size=10),
            Sample(TENANT, ONE, AT, ok=False, latency_ms=100, size=0),
            Sample(TENANT, ONE, AT, ok=True, latency_ms=99_999, size=7),
        ],
        "call",
    )
    assert [(b.integration_id, b.bucket.minute, b.calls, b.failed, b.bytes) for b in buckets] == [
        (ONE, 0, 2, 1, 7),
        (ONE, 1, 1, 0, 10),
        (OTHER, 0, 1, 0, 1),
    ]
    assert buckets[0].latency_ms_sum == 100_099
    assert buckets[0].within == [0 if bound < 100 else 1 for bound in BOUNDS_MS]
    assert all(bucket.source == "call" and bucket.bucket.second == 0 for bucket in buckets)


def test_nothing_makes_no_bucket() -> None:
    assert fold([], "check") == []
