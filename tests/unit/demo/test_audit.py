"""The demo's count: it must find what is missing, doubled or wrong, and allow what at-least-once allows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hub.db.states import State
from hub.demo.audit import Row, Tally, audit_deliveries, audit_executions
from hub.demo.plan import Call, Expected, Kind, Receiver

HEALTHY = Receiver("healthy", ("*",), ("",))
FLAKY = Receiver("flaky", ("*",), ("",), failures=2)
GONE = Receiver("gone", ("*",), ("",), gone=True)


def deliveries(
    *rows: tuple[str, Row],
    expected: str = "e1",
    calls: Mapping[str, int] | None = None,
    accepted: Mapping[str, int] | None = None,
    receiver: Receiver = HEALTHY,
    unanswered: int = 0,
) -> Tally:
    seen = {"calls": calls or {}, "accepted": accepted or {}}
    return audit_deliveries(receiver, set(expected.split()), rows, seen, lambda _: unanswered)


def executions(*rows: tuple[str, Row], seen: Mapping[str, int], unanswered: int = 0) -> Tally:
    asked = [Call("c1", Kind("open", "limited", 1, Expected(State.FAILED, 429, attempts=3)))]
    return audit_executions(asked, rows, seen, lambda _: unanswered)


def test_one_row_and_one_acceptance_are_fine() -> None:
    tally = deliveries(("e1", Row("dlv_1", "done", 1)), calls={"e1": 1}, accepted={"e1": 1})
    assert tally.problems == []
    assert (tally.expected, dict(tally.states), tally.retried, tally.calls) == (1, {"done": 1}, 0, 1)


def test_retries_are_counted() -> None:
    row = Row("dlv_1", "done", 3)
    tally = deliveries(("e1", row), calls={"e1": 3}, accepted={"e1": 1}, receiver=FLAKY)
    assert (tally.problems, tally.retried) == ([], 2)


def test_an_event_without_a_row_is_missing() -> None:
    row = ("e1", Row("dlv_1", "done", 1))
    (problem,) = deliveries(row, expected="e1 e2", calls={"e1": 1}, accepted={"e1": 1}).problems
    assert problem == "e2: accepted, but there is no row for healthy."


def test_a_row_that_is_done_but_never_arrived_is_missing() -> None:
    assert deliveries(("e1", Row("dlv_1", "done", 1))).problems[0] == (
        "e1: dlv_1 is done, but healthy never accepted it."
    )


def test_two_rows_for_one_event_are_one_too_many() -> None:
    rows = ("e1", Row("dlv_1", "done", 1)), ("e1", Row("dlv_2", "done", 1))
    assert (
        "e1: 2 rows for healthy instead of one."
        in deliveries(*rows, calls={"e1": 2}, accepted={"e1": 2}).problems
    )


@pytest.mark.parametrize(("unanswered", "problems"), [(0, 1), (1, 0)])
def test_a_second_acceptance_is_allowed_only_for_a_call_without_an_answer(
    unanswered: int, problems: int
) -> None:
    row = ("e1", Row("dlv_1", "done", 2))
    tally = deliveries(row, calls={"e1": 2}, accepted={"e1": 2}, unanswered=unanswered)
    assert len(tally.problems) == problems


def test_a_call_that_the_hub_knows_nothing_of_is_a_problem() -> None:
    row = ("e1", Row("dlv_1", "done", 1))
    (problem,) = deliveries(row, calls={"e1": 2}, accepted={"e1": 1}).problems
    assert "made 1 attempts (dlv_1)" in problem
    assert "saw 2" in problem


def test_what_nobody_sent_is_a_problem_on_either_side() -> None:
    rows = ("e1", Row("dlv_1", "done", 1)), ("e9", Row("dlv_9", "done", 1))
    problems = deliveries(*rows, calls={"e1": 1, "e8": 1}, accepted={"e1": 1, "e8": 1}).problems
    assert [problem[:2] for problem in problems] == ["e9", "e8"]


@pytest.mark.parametrize(
    ("row", "calls", "fine"),
    [
        (Row("dlv_1", "failed", 1, "gone"), 1, True),
        (Row("dlv_1", "held", 0, "endpoint_disabled"), 0, True),
        (Row("dlv_1", "failed", 1, "exhausted"), 1, False),
        (Row("dlv_1", "due", 1), 1, False),
    ],
)
def test_a_receiver_that_is_gone_gets_refused_or_held_deliveries(row: Row, calls: int, fine: bool) -> None:
    tally = deliveries(("e1", row), calls={"e1": calls}, receiver=GONE)
    assert (tally.problems == []) is fine


def test_an_execution_ends_as_expected() -> None:
    tally = executions(("c1", Row("exe_1", "failed", 3, "exhausted", 429)), seen={"c1": 3})
    assert (tally.problems, tally.retried, tally.calls) == ([], 2, 3)


@pytest.mark.parametrize(
    "row",
    [
        Row("exe_1", "done", 3, None, 200),
        Row("exe_1", "failed", 3, "exhausted", 503),
        Row("exe_1", "failed", 2, "exhausted", 429),
        Row("exe_1", "leased", 3, None, 429),
    ],
)
def test_another_end_of_an_execution_is_a_problem(row: Row) -> None:
    assert len(executions(("c1", row), seen={"c1": row.attempts}).problems) == 1


def test_an_interrupted_attempt_is_one_more_attempt_and_maybe_one_more_call() -> None:
    row = ("c1", Row("exe_1", "failed", 4, "exhausted", 429))
    for seen in (3, 4):
        assert executions(row, seen={"c1": seen}, unanswered=1).problems == []
    assert executions(row, seen={"c1": 2}, unanswered=1).problems != []
    assert executions(row, seen={"c1": 4}).problems != []
