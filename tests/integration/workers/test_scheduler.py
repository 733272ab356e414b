"""Two beats against one database, on a clock that the test sets."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import text

from hub.core.settings import get_settings
from hub.db.engine import forget_engine, get_engine
from hub.queue import store
from hub.queue.contracts import TaskName, Tick
from workers import scheduler
from workers.schedule import jobs
from workers.scheduler import LEAD, LeaderScheduler

pytestmark = pytest.mark.usefixtures("hub_environment")

SWEEP = TaskName.LEDGER_SWEEP.value
PRUNE = TaskName.HISTORY_PRUNE.value


@dataclass
class Time:
    """Wall and monotonic time, both in seconds, moved by hand."""

    now: float = 1_900_000_000.25

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - 1_800_000_000


@dataclass
class Broker:
    """Takes tasks, or refuses them."""

    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fault: Exception | None = None

    def send_task(self, name: str, **options: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.append((name, options))

    def count(self, name: str) -> int:
        return sum(sent == name for sent, _ in self.sent)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(scheduler, "time", made)
    return made


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def beats(clock: Time, broker: Broker) -> Iterator[tuple[LeaderScheduler, LeaderScheduler]]:
    app = Celery("test", set_as_current=False)
    app.send_task = broker.send_task  # type: ignore[method-assign,assignment]
    made = LeaderScheduler(app), LeaderScheduler(app)
    for beat, owner in zip(made, ("anna", "ben"), strict=True):
        beat._owner = owner  # one process is one owner otherwise
    yield made
    app.close()


def leader() -> str | None:
    with get_engine().connect() as conn:
        row = store.read_leader(conn, LEAD)
    return None if row is None else str(row.owner)


def let_lead_end() -> None:
    """As if the leader had been silent for its whole lease; the database's clock is not the test's."""
    with get_engine().begin() as conn:
        conn.execute(text("UPDATE hub.leader SET until = now() - interval '1 second'"))


def test_the_first_to_ask_leads_and_the_other_stands_by(
    beats: tuple[LeaderScheduler, LeaderScheduler], broker: Broker
) -> None:
    anna, ben = beats
    wait = anna.tick()
    assert 0.01 <= wait <= 1
    assert ben.tick() == 1.0
    assert leader() == "anna"
    assert Counter(name for name, _ in broker.sent) == {job.task.value: 1 for job in jobs(get_settings())}


def test_each_moment_starts_once_whoever_ticks_and_however_often(
    beats: tuple[LeaderScheduler, LeaderScheduler], clock: Time, broker: Broker
) -> None:
    anna, ben = beats
    for _ in range(95):
        anna.tick()
        ben.tick()
        clock.now += 0.1
    seconds = get_settings().sweep_interval_seconds
    assert broker.count(SWEEP) == int(10 / seconds)
    assert broker.count(PRUNE) == 1
    moments = [
        Tick.model_validate(options["kwargs"]["payload"]).scheduled_for
        for name, options in broker.sent
        if name == SWEEP
    ]
    assert len(set(moments)) == len(moments)
    assert all(datetime.fromisoformat(moment).timestamp() % seconds == 0 for moment in moments)


def test_when_the_leader_dies_the_other_takes_over_and_starts_nothing_twice(
    beats: tuple[LeaderScheduler, LeaderScheduler], clock: Time, broker: Broker
) -> None:
    anna, ben = beats
    anna.tick()
    assert ben.tick() == 1.0
    let_lead_end()
    ben.tick()
    assert leader() == "ben"
    # The same moment: ben leads now, and finds it started.
    assert broker.count(SWEEP) == 1
    # anna was only paused. She believes in her lease until she renews it, and starts nothing that ben started.
    anna.tick()
    clock.now += 1
    ben.tick()
    anna.tick()
    assert broker.count(SWEEP) == 2
    clock.now += get_settings().leader_lease_seconds / 3
    anna.tick()
    assert leader() == "ben"
    sent = len(broker.sent)
    clock.now += 1
    assert anna.tick() == 1.0
    assert len(broker.sent) == sent


def test_the_lease_is_renewed_long_before_it_ends(
    beats: tuple[LeaderScheduler, LeaderScheduler], clock: Time
) -> None:
    anna, _ = beats
    lease = get_settings().leader_lease_seconds
    assert lease + 1 + 1 <= 35  # a stand-by looks every second

    def remaining() -> float:
        with get_engine().connect() as conn:
            row = store.read_leader(conn, LEAD)
        assert row is not None
        return float(row.remaining)

    anna.tick()
    with get_engine().begin() as conn:
        conn.execute(text("UPDATE hub.leader SET until = now() + interval '5 seconds'"))
    clock.now += 1
    anna.tick()
    assert remaining() <= 5
    clock.now += lease / 3
    anna.tick()
    assert remaining() > lease - 5


def test_closing_hands_the_lead_over_at_once(beats: tuple[LeaderScheduler, LeaderScheduler]) -> None:
    anna, ben = beats
    anna.tick()
    ben.close()
    assert leader() == "anna"
    anna.close()
    assert leader() is None
    ben.tick()
    assert leader() == "ben"


def test_a_broker_that_refuses_leaves_the_moment_to_the_next_tick(
    beats: tuple[LeaderScheduler, LeaderScheduler], broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    anna, _ = beats
    broker.fault = OSError("redis://:canary91@h")
    anna.tick()
    with get_engine().connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.tick")) == 0
    broker.fault = None
    anna.tick()
    assert broker.count(SWEEP) == 1
    assert "canary91" not in caplog.text


def test_without_a_database_nothing_ticks_and_the_lead_is_asked_for_anew(
    beats: tuple[LeaderScheduler, LeaderScheduler],
    broker: Broker,
    clock: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anna, ben = beats
    anna.tick()
    sent = len(broker.sent)
    url = get_settings().database_url
    assert url is not None
    with monkeypatch.context() as away:
        away.setenv("HUB_DATABASE_URL", url.get_secret_value().replace("/test_", "/nothing_"))
        get_settings.cache_clear()
        forget_engine(close=True)
        clock.now += 1
        assert anna.tick() == 1.0
        anna.close()
    assert len(broker.sent) == sent
    get_settings.cache_clear()
    forget_engine(close=True)
    # It forgot that it led: nobody starts anything on a lease that may have gone to another.
    let_lead_end()
    ben.tick()
    assert anna.tick() == 1.0
    assert leader() == "ben"


def test_a_message_does_not_outlive_its_use(
    beats: tuple[LeaderScheduler, LeaderScheduler], broker: Broker
) -> None:
    beats[0].tick()
    for name, options in broker.sent:
        assert 30 <= options["expires"] <= 600, name
        moment = datetime.fromisoformat(options["kwargs"]["payload"]["scheduled_for"])
        assert moment.tzinfo == UTC


def test_a_signal_amid_a_statement_ends_the_beat_at_its_next_tick(
    beats: tuple[LeaderScheduler, LeaderScheduler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def celerys_handler(*_: Any) -> None:
        raise SystemExit

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    real = store.take_lead

    def interrupted(*args: Any) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    try:
        signal.signal(signal.SIGTERM, celerys_handler)
        monkeypatch.setattr(store, "take_lead", interrupted)
        beats[0].tick()  # the statement is not cut in two
        with pytest.raises(SystemExit):
            beats[0].tick()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
