"""Compares what the hub's rows say with what the other side saw, id by id.

Allowed is what at-least-once allows: a call whose answer the hub never got (a worker was killed, a connection
broke) may have arrived or not, so it may be there once more, under the same id. Everything else is a problem.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.db.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from hub.demo.plan import Call, Expected, Receiver


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery or an execution, as the API shows it.

    Args:
        id: `dlv_…` or `exe_…`.
        state: its state.
        attempts: how many the hub made.
        reason: one word when it did not go well.
        status: HTTP status of the last answer, of an execution.
    """

    id: str
    state: str
    attempts: int
    reason: str | None = None
    status: int | None = None


@dataclass(slots=True)
class Tally:
    """What one comparison found.

    Args:
        what: an endpoint, or the executions.
        expected: how many rows there should be.
        states: rows by state.
        retried: attempts beyond the first of each row.
        calls: what the other side counted.
        problems: a sentence each; none when all is well.
    """

    what: str
    expected: int
    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    retried: int = 0
    calls: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.states[row.state] += 1
        self.retried += max(0, row.attempts - 1)


def audit_deliveries(
    receiver: Receiver,
    expected: Collection[str],
    rows: Iterable[tuple[str, Row]],
    seen: Mapping[str, Mapping[str, int]],
    unanswered: Callable[[str], int],
) -> Tally:
    """Compare the deliveries to one endpoint with what its receiver saw.

    Args:
        receiver: what it does.
        expected: the ids of the events that had to reach it.
        rows: event id and delivery.
        seen: `calls` and `accepted` by event id.
        unanswered: how many attempts of a delivery got no answer.
    """
    tally = Tally(receiver.name, len(expected), calls=sum(seen["calls"].values()))
    found = _by_name(rows, tally)
    _missing_and_strange(expected, found, seen["calls"], tally)
    for event_id in expected & found.keys():
        row = found[event_id][0]
        calls, accepted = seen["calls"].get(event_id, 0), seen["accepted"].get(event_id, 0)
        if receiver.gone:
            refused = row.state == State.FAILED and row.reason == "gone"
            if not (refused or row.state == State.HELD) or accepted:
                tally.problems.append(_ended(event_id, row, "failed (gone) or held"))
        elif row.state != State.DONE:
            tally.problems.append(_ended(event_id, row, "done"))
        elif not accepted:
            tally.problems.append(f"{event_id}: {row.id} is done, but {receiver.name} never accepted it.")
        elif accepted > 1 and accepted > 1 + unanswered(row.id):
            tally.problems.append(f"{event_id}: {receiver.name} accepted it {accepted} times.")
        _same_count(event_id, row, calls, unanswered, tally)
    return tally


def audit_executions(
    calls: Sequence[Call],
    rows: Iterable[tuple[str, Row]],
    seen: Mapping[str, int],
    unanswered: Callable[[str], int],
) -> Tally:
    """Compare the executions with what the provider saw.

    Args:
        calls: what was asked for.
        rows: a call's name and its execution.
        seen: requests by the call's name.
        unanswered: how many attempts of an execution got no answer.
    """
    expected = {call.name: call.kind.expected for call in calls}
    tally = Tally("executions", len(expected), calls=sum(seen.values()))
    found = _by_name(rows, tally)
    _missing_and_strange(expected.keys(), found, seen, tally)
    for name in expected.keys() & found.keys():
        row, wanted = found[name][0], expected[name]
        if (row.state, row.status) != (wanted.state, wanted.status):
            tally.problems.append(_ended(name, row, f"{wanted.state} with {wanted.status}"))
        elif _too_many_attempts(row, wanted, unanswered):
            tally.problems.append(f"{name}: {row.id} took {row.attempts} attempts, not {wanted.attempts}.")
        _same_count(name, row, seen.get(name, 0), unanswered, tally)
    return tally


def _by_name(rows: Iterable[tuple[str, Row]], tally: Tally) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for name, row in rows:
        found[name].append(row)
        tally.add(row)
    return found


def _missing_and_strange(
    expected: Collection[str], found: Mapping[str, list[Row]], seen: Collection[str], tally: Tally
) -> None:
    wanted = set(expected)
    for name in sorted(wanted - found.keys()):
        tally.problems.append(f"{name}: accepted, but there is no row for {tally.what}.")
    for name in sorted(found.keys() - wanted):
        tally.problems.append(f"{name}: a row for {tally.what} that nobody asked for.")
    for name in sorted(set(seen) - wanted):
        tally.problems.append(f"{name}: the other side of {tally.what} saw it, and nobody sent it.")
    for name in sorted(found):
        if len(found[name]) > 1:
            tally.problems.append(f"{name}: {len(found[name])} rows for {tally.what} instead of one.")


def _too_many_attempts(row: Row, wanted: Expected, unanswered: Callable[[str], int]) -> bool:
    if wanted.attempts is None or row.attempts == wanted.attempts:
        return False
    return not wanted.attempts <= row.attempts <= wanted.attempts + unanswered(row.id)


def _same_count(name: str, row: Row, calls: int, unanswered: Callable[[str], int], tally: Tally) -> None:
    """The hub's attempts are the other side's calls; those without an answer may be missing there."""
    # What is held before it was ever sent has no attempt; one that was claimed and put back has none either.
    if calls != row.attempts and not row.attempts - unanswered(row.id) <= calls <= row.attempts:
        tally.problems.append(
            f"{name}: the hub made {row.attempts} attempts ({row.id}), the other side of {tally.what} saw {calls}."
        )


def _ended(name: str, row: Row, wanted: str) -> str:
    shown = " ".join(str(part) for part in (row.state, row.reason, row.status) if part is not None)
    return f"{name}: {row.id} ended as {shown}, not {wanted}."
