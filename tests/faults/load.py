"""A steady load on a hub while parts of it break, and what must hold of it afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Self

import requests

from tests.support.waiting import until

if TYPE_CHECKING:
    import uuid
    from types import TracebackType

    from tests.support.receivers import FastReceiver
    from tests.support.stack import RunningHub


class Answered(NamedTuple):
    """One publish: its status (0: the connection broke before an answer), and seconds until then."""

    status: int
    seconds: float
    detail: str


class Load:
    """Publishes lists of events through the HTTP door for the time of a `with` block.

    Args:
        hub: where.
        event_type: of every event.
        batch: events in one request.
        pause: seconds between two requests.
    """

    def __init__(self, hub: RunningHub, event_type: str, *, batch: int = 20, pause: float = 0.02) -> None:
        self._hub = hub
        self._body = [{"type": event_type, "data": {"n": number}} for number in range(batch)]
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        #: Public ids of all events that were answered with 202.
        self.accepted: list[str] = []
        self.answers: list[Answered] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "a publish hangs"

    def wait_for(self, count: int, *, seconds: float = 20.0) -> None:
        """Return as soon as `count` more events were accepted than now."""
        goal = len(self.accepted) + count
        until(lambda: len(self.accepted) >= goal, seconds=seconds, what=f"{count} more accepted events")

    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(answer.status for answer in self.answers)

    def slowest(self) -> float:
        """Seconds of the slowest answer."""
        return max(answer.seconds for answer in self.answers)

    def _run(self) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._hub.api_key}"
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                answer = session.post(f"{self._hub.url}/v1/events", json=self._body, timeout=20)
                status, detail = answer.status_code, answer.text[:300]
                if status == 202:
                    self.accepted += [receipt["id"] for receipt in answer.json()["data"]]
            except requests.RequestException as error:
                status, detail = 0, type(error).__name__
            self.answers.append(Answered(status, time.monotonic() - started, detail))
            self._stop.wait(self._pause)
        session.close()


#: Counts events of a type that are not delivered, or not fanned out.
UNFINISHED = """
    SELECT count(*) FROM hub.message m LEFT JOIN hub.delivery d ON d.message_id = m.id
     WHERE m.type = :type
       AND (d.state IS DISTINCT FROM 'done' OR EXISTS (SELECT FROM hub.outbox WHERE message_id = m.id))"""
_STATES = """
    SELECT o.message_id IS NULL AS fanned_out, d.state AS delivery, d.reason, count(*) AS n
      FROM hub.message m LEFT JOIN hub.outbox o ON o.message_id = m.id LEFT JOIN hub.delivery d ON d.message_id = m.id
     WHERE m.type = :type GROUP BY 1, 2, 3"""


def leased(hub: RunningHub, table: str) -> list[uuid.UUID]:
    """Deliveries or executions that workers hold: as many calls can be in flight, or made and not yet recorded."""
    return [row.id for row in hub.rows(f"SELECT id FROM hub.{table} WHERE state = 'leased'")]


def wait_until_finished(hub: RunningHub, table: str, ids: list[uuid.UUID]) -> None:
    """Wait for rows whose worker was killed: the same rows in flight at three kills in a row would be held."""
    unfinished = f"SELECT count(*) FROM hub.{table} WHERE id = ANY (:ids) AND finished_at IS NULL"
    until(lambda: not hub.query(unfinished, ids=ids), what="the repeats of what was in flight")


def assert_nothing_lost(
    hub: RunningHub,
    load: Load,
    receiver: FastReceiver,
    event_type: str,
    *,
    in_flight: int = 0,
    seconds: float = 25.0,
) -> None:
    """Every accepted event is delivered, seen, and accounted for.

    Args:
        hub: the hub, whole again.
        load: ended.
        receiver: the one endpoint of these events; answers 200 to all.
        event_type: of the load.
        in_flight: deliveries that were leased when something was killed, summed over the kills.
        seconds: how long the rest may take.
    """
    assert load.accepted, f"nothing was accepted: {load.statuses()}"
    assert set(load.statuses()) <= {202, 503, 0}, load.statuses()

    def settled() -> bool:
        return not hub.query(UNFINISHED, type=event_type)

    try:
        until(settled, seconds=seconds, what="the end of all deliveries")
    except AssertionError:
        raise AssertionError(f"not all is done: {hub.rows(_STATES, type=event_type)}") from None

    seen = receiver.ids()
    lost = set(load.accepted) - set(seen)
    assert not lost, f"{len(lost)} of {len(load.accepted)} accepted events were never seen"
    known = {
        row.id: row
        for row in hub.rows(
            "SELECT hub.public_id('msg', m.id) AS id, d.state, d.id AS delivery,"
            " (SELECT count(*) FROM hub.attempt a WHERE a.work_id = d.id) AS attempts,"
            " (SELECT count(*) FROM hub.attempt a WHERE a.work_id = d.id AND a.outcome = 'succeeded') AS succeeded,"
            " (SELECT count(*) FROM hub.attempt a WHERE a.work_id = d.id AND a.outcome = 'interrupted') AS interrupted"
            " FROM hub.message m JOIN hub.delivery d ON d.message_id = m.id WHERE m.type = :type",
            type=event_type,
        )
    }
    assert set(load.accepted) <= set(known), "every 202 has its row"
    assert set(seen) <= set(known), "only what has a row was sent"
    duplicates = sum(seen.values()) - len(seen)
    print(
        f"{len(load.accepted)} accepted, {sum(seen.values())} seen, {duplicates} of them twice; {in_flight} were in"
        f" flight; answers {dict(load.statuses())}, slowest {load.slowest():.2f} s"
    )
    assert duplicates <= in_flight, f"{duplicates} duplicates, {in_flight} in flight"
    for event_id, count in seen.items():
        row = known[event_id]
        assert row.succeeded >= 1, f"{event_id} is done without a successful attempt"
        # Each request that was seen is an attempt, or one whose end was cut off.
        assert count <= row.attempts, f"{event_id} was seen {count} times with {row.attempts} attempts"
        assert row.attempts <= count + row.interrupted, f"{event_id} has attempts that nobody saw"
