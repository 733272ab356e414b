from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.monitoring.health import Health, Rules, Status, Verdict, judge, next_health, reason_of
from hub.net.outcome import ErrorClass, Outcome, Timings

AT = datetime(2026, 11, 22, tzinfo=UTC)
RULES = Rules(degraded_after_ms=1000, unhealthy_after=3)
GOOD, SLOW, BAD = (10.0, True), (1500.0, True), (10.0, False)


def run(*checks: tuple[float, bool], rules: Rules = RULES) -> list[Health]:
    found: list[Health] = []
    for number, (latency, ok) in enumerate(checks):
        verdict = Verdict(ok, AT + timedelta(minutes=number), latency, "" if ok else "down")
        found.append(next_health(found[-1] if found else None, verdict, rules))
    return found


def statuses(*checks: tuple[float, bool]) -> str:
    return " ".join(health.status.value for health in run(*checks))


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([GOOD, GOOD], "healthy healthy"),
        ([SLOW, GOOD], "degraded healthy"),
        ([GOOD, BAD, BAD, BAD, BAD], "healthy degraded degraded unhealthy unhealthy"),
        ([BAD, BAD, GOOD, BAD], "degraded degraded healthy degraded"),
        ([BAD, BAD, BAD, SLOW, GOOD], "degraded degraded unhealthy degraded healthy"),
    ],
)
def test_health_follows_the_checks(checks: list[tuple[float, bool]], expected: str) -> None:
    assert statuses(*checks) == expected


def test_since_moves_only_with_the_status() -> None:
    since = [(health.since - AT).seconds // 60 for health in run(GOOD, GOOD, BAD, BAD, GOOD)]
    assert since == [0, 0, 2, 2, 4]


def test_a_raised_limit_is_no_recovery() -> None:
    down = run(BAD, BAD, BAD)[-1]
    after = next_health(down, Verdict(ok=False, at=AT, latency_ms=1, error="down"), Rules(1000, 10))
    assert (after.status, after.consecutive_failures) == (Status.UNHEALTHY, 4)


def test_the_reason_says_what_is_wrong() -> None:
    good, slow, bad = run(GOOD, SLOW, BAD)
    assert reason_of(good, RULES) == ""
    assert reason_of(slow, RULES) == "It answered in 1500 ms; up to 1000 ms is fine."
    assert reason_of(bad, RULES) == "down"


@pytest.mark.parametrize(
    ("status", "kind", "expected", "ok"),
    [
        (200, None, [], True),
        (204, None, [200], False),
        (404, ErrorClass.HTTP_4XX, [], False),
        (404, ErrorClass.HTTP_4XX, [404], True),
        (301, ErrorClass.REDIRECT, [301], True),
        (200, ErrorClass.TIMEOUT, [200], False),
        (None, ErrorClass.DNS, [200], False),
    ],
)
def test_a_call_is_judged_by_the_expected_statuses(
    status: int | None, kind: ErrorClass | None, expected: list[int], ok: bool
) -> None:
    verdict = judge(Outcome(status, kind, timings=Timings(total_ms=7)), AT, expected)
    assert (verdict.ok, verdict.latency_ms, bool(verdict.error)) == (ok, 7, not ok)
