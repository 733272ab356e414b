"""How replays are worked off: in steps that are whole or nothing, at their rate, by any number of workers."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.core.errors import Conflict, Invalid
from hub.webhooks.replay import jobs, runner, store
from tests.integration.webhooks.replay.past import NOWHERE, Past
from tests.integration.webhooks.world import World
from tests.support.waiting import until


def slow(past: Past, job: Any, rate: float = 20.0) -> None:
    """Give a job a rate, and nothing saved up."""
    past.world.sql(
        "UPDATE hub.replay SET rate = :rate, tokens = 0, refilled_at = now() WHERE id = :id",
        rate=rate,
        id=job,
    )


def pass_time(past: Past, seconds: float) -> None:
    past.world.sql(
        "UPDATE hub.replay SET due_at = due_at - make_interval(secs => :s),"
        " refilled_at = refilled_at - make_interval(secs => :s)",
        s=seconds,
    )


#: A worker that is killed when everything of its step is written and nothing is committed.
_DYING = """
import os, signal, sys
from hub.db.engine import make_engine
from hub.webhooks.replay import runner, store
whole = store.write_step
def dying(*args, **kwargs):
    whole(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
store.write_step = dying
runner.Runner(make_engine(sys.argv[1]), owner="anna", sent=lambda: None).step()
"""


def nobody_in_a_transaction(world: World) -> bool:
    rows = world.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    return rows == [(0,)]


# -- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["failed", "missing"])
def test_a_worker_that_dies_in_a_step_leaves_the_job_as_it_was(world: World, past: Past, kind: str) -> None:
    if kind == "failed":
        world.endpoint(NOWHERE)
    past.events(30)
    if kind == "missing":
        world.endpoint(NOWHERE)
    job = past.replay(kind)
    before = past.job(job)
    url = world.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    died = subprocess.run([sys.executable, "-c", _DYING, url], timeout=30, check=False)
    assert died.returncode == -signal.SIGKILL
    until(lambda: nobody_in_a_transaction(world), what="the end of the dead worker's transaction")
    assert past.job(job) == before
    assert past.due() == []
    past.run()
    assert (past.job(job).state, past.job(job).requeued) == ("done", 30)
    assert len(past.due()) == len(set(past.due())) == 30
    assert world.sql("SELECT count(*) FROM hub.delivery_waiting") == [(30,)]


def test_a_step_that_fails_is_undone_noted_and_tried_again_later(
    world: World, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.endpoint(NOWHERE)
    past.events(3)
    job = past.replay()

    def failing(conn: Any, *_: Any, **__: Any) -> Any:
        conn.execute(text("SELECT 1/0"))

    monkeypatch.setattr(runner, "requeue", failing)
    assert past.runner().step() == 0
    row = past.job(job)
    assert (row.state, row.errors, row.selected) == ("pending", 1, 0)
    assert row.error == "DivisionByZero: division by zero"
    assert past.runner().step() is None
    pass_time(past, 60)
    monkeypatch.undo()
    past.run()
    assert (past.job(job).state, past.job(job).errors, len(past.due())) == ("done", 0, 3)


def test_a_step_that_never_works_ends_the_job(
    world: World, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.endpoint(NOWHERE)
    job = past.replay()
    world.sql("""UPDATE hub.replay SET filter = '{"data.n": {"$no": 1}}'""")
    for _ in range(10):
        assert past.runner().step() == 0
        pass_time(past, 60)
    row = past.job(job)
    assert (row.state, row.reason) == ("failed", "errors")
    assert "filter.data.n.$no" in row.error
    assert row.finished_at is not None
    assert past.runner().step() is None


# -- many workers -----------------------------------------------------------------------------------------------------


def test_several_workers_share_jobs_and_nothing_goes_twice(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(300)
    late = world.endpoint(NOWHERE, "late")
    made = [
        past.replay("failed", rate=400),
        past.replay("missing", rate=400),
        past.replay("missing", rate=400),
    ]
    start = threading.Barrier(3)

    def work(name: str) -> int:
        start.wait(10)
        return past.run(past.runner(name)).requeued

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, ["anna", "bert", "carl"])) == 600
    assert {past.job(job).state for job in made} == {"done"}
    assert set(Counter(past.due(late)).values()) == {1}
    assert len(past.due(late)) == 300
    assert world.sql("SELECT DISTINCT replay_no FROM hub.delivery WHERE endpoint_id <> :late", late=late) == [
        (1,)
    ]


def test_a_job_that_somebody_is_busy_with_is_passed_over(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(1)
    past.replay()
    with world.engine.begin() as conn:
        assert store.take(conn) is not None
        assert past.runner().step() is None
        second = past.replay()
        assert past.runner().step() == 1
        assert past.job(second).state == "done"


def test_jobs_take_turns(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(1)
    first, second = past.replay(), past.replay()
    for job in (first, second):
        slow(past, job, 1000)
    workers = past.runner()
    pass_time(past, 1)
    for _ in range(2):
        workers.step()
    assert {past.job(job).state for job in (first, second)} == {"done"}


# -- rate -------------------------------------------------------------------------------------------------------------


def test_no_more_goes_than_the_rate_allows(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(50)
    job = past.replay()
    slow(past, job, 20)
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        pass_time(past, seconds)

    begun = time.monotonic()
    report = past.runner().run(seconds=60, stopping=lambda: False, sleep=nap)
    passed = sum(naps) + time.monotonic() - begun
    assert past.job(job).state == "done"
    assert report.requeued == 50
    assert max(naps) <= 0.1
    # It was slower than the rate only by what one step waits for; real time passes too.
    assert sum(naps) <= 3.0
    assert passed >= 2.0


def test_a_worker_does_not_wait_for_a_slow_job(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(3)
    job = past.replay()
    slow(past, job, 0.5)
    report = past.runner().run(seconds=60, stopping=lambda: False, sleep=lambda _: pytest.fail("it waited"))
    assert report.requeued == 0
    with world.engine.connect() as conn:
        wait = store.seconds_until_due(conn)
    assert wait is not None
    assert 1.0 < wait <= 2.0
    pass_time(past, 2)
    assert past.runner().step() == 1


def test_a_worker_that_is_told_to_stop_stops_between_steps(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(5)
    past.replay()
    assert past.runner().run(seconds=60, stopping=lambda: True).steps == 0
    report = past.runner().run(seconds=0, stopping=lambda: False)
    assert (report.steps, report.unfinished) == (0, True)


def test_a_long_search_for_little_is_not_slowed_by_the_rate(
    world: World, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.webhooks.replay.delivery_scan._ROWS", 10)
    world.endpoint(NOWHERE)
    past.events(100, state="done")
    past.events(1)
    job = past.replay(rate=1)
    report = past.runner().run(seconds=60, stopping=lambda: False, sleep=lambda _: pytest.fail("it waited"))
    assert report.steps >= 10
    assert (past.job(job).state, past.job(job).scanned, past.job(job).requeued) == ("done", 101, 1)


# -- pause, cancel ----------------------------------------------------------------------------------------------------


def test_a_paused_job_stands_still_and_goes_on_where_it_stopped(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    events = past.events(40)
    job = past.replay()
    slow(past, job, 10)
    pass_time(past, 1)
    assert past.runner().step() == 10
    assert past.steer(job, "paused").state == "paused"
    pass_time(past, 3600)
    assert past.runner().step() is None
    assert past.due() == events[:10]
    assert past.steer(job, "paused").state == "paused"
    assert past.steer(job, "running").state == "running"
    # What was not used during the pause is not made up for.
    assert past.runner().step() == 10
    slow(past, job, 10_000)
    pass_time(past, 1)
    past.run()
    assert past.due() == events
    assert past.job(job).state == "done"


def test_a_cancelled_job_ends_and_what_it_sent_stays(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    events = past.events(20)
    job = past.replay()
    slow(past, job, 5)
    pass_time(past, 1)
    past.runner().step()
    row = past.steer(job, "cancelled")
    assert (row.state, row.finished_at is not None) == ("cancelled", True)
    pass_time(past, 3600)
    assert past.runner().step() is None
    assert past.due() == events[:5]
    assert past.steer(job, "cancelled").state == "cancelled"
    for to in ("running", "paused"):
        with pytest.raises(Conflict, match="cancelled"):
            past.steer(job, to)


def test_a_job_that_did_not_start_is_pending_again_after_a_pause(world: World, past: Past) -> None:
    job = past.replay()
    assert past.steer(job, "running").state == "pending"
    past.steer(job, "paused")
    assert past.steer(job, "running").state == "pending"
    past.run()
    with pytest.raises(Conflict, match="done"):
        past.steer(job, "cancelled")


# -- endpoints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["failed", "missing"])
def test_a_job_whose_endpoint_is_deleted_ends_and_says_so(world: World, past: Past, kind: str) -> None:
    past.events(10)
    endpoint = world.endpoint(NOWHERE)
    past.events(10)
    job = past.replay(kind, endpoint=endpoint)
    workers = past.runner()
    slow(past, job, 2)
    pass_time(past, 1)
    workers.step()
    world.remove(endpoint)
    pass_time(past, 10)
    workers.step()
    row = past.job(job)
    assert (row.state, row.reason, row.error) == ("failed", "endpoint_deleted", "The endpoint was deleted.")
    with pytest.raises(Invalid, match="there is no endpoint"):
        past.replay(kind, endpoint=endpoint)


def test_a_job_of_all_endpoints_passes_over_one_that_is_deleted(world: World, past: Past) -> None:
    ids = [world.endpoint(NOWHERE, f"e{n}") for n in range(4)]
    events = past.events(4)
    job = past.replay()
    slow(past, job, 6)
    pass_time(past, 1)
    workers = past.runner()
    assert workers.step() == 6
    world.remove(ids[1])
    slow(past, job, 10_000)
    pass_time(past, 1)
    past.run(workers)
    assert past.job(job).state == "done"
    assert past.due(ids[0]) == past.due(ids[2]) == past.due(ids[3]) == events
    assert past.due(ids[1]) == events[:2]


def test_what_is_for_a_paused_endpoint_waits_until_it_is_active(world: World, past: Past) -> None:
    endpoint = world.endpoint(NOWHERE)
    past.events(3)
    world.change(endpoint, status="paused")
    job = past.replay(endpoint=endpoint)
    past.run()
    assert past.job(job).state == "done"
    assert world.seen_states() == [("held", "endpoint_paused")] * 3
    with world.engine.connect() as conn:
        assert store.count_held(conn, world.tenant_id, endpoint) == 1
    assert world.source().claim(100)[0] == []
    world.change(endpoint, status="active")
    assert len(world.source().claim(100)[0]) == 3


# -- live traffic -----------------------------------------------------------------------------------------------------


def test_live_events_go_before_what_a_replay_made_due(world: World, past: Past) -> None:
    for n in range(3):
        world.endpoint(NOWHERE, f"e{n}")
    past.events(1_000)
    past.replay()
    past.run()
    assert len(past.due()) == 3_000
    live = {receipt.id for receipt in world.publish(*["{}"] * 10)}
    taken, more = world.source().claim(100)
    assert more
    fresh = [job for job in taken if job.envelope.webhook_id in live]
    assert len(fresh) == 30
    assert 0 < len(taken) - len(fresh) <= 70


def test_a_replay_under_way_holds_up_no_publish_and_no_fan_out(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(20)
    past.replay()
    with world.engine.begin() as conn:  # a step that is not committed, as long as steps may ever last
        row = store.take(conn)
        assert row is not None
        assert past.runner()._work(conn, row) > 0
        world.publish("{}")
        done = threading.Event()
        claimed: list[int] = []

        def claim() -> None:
            claimed.append(len(world.source().claim(10)[0]))
            done.set()

        thread = threading.Thread(target=claim)
        thread.start()
        until(done.is_set, what="a claim beside the step")
        thread.join()
        assert claimed == [1]


# -- looking ----------------------------------------------------------------------------------------------------------


def test_what_became_of_it_is_counted(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    events = past.events(10)
    job = past.replay()
    past.run()
    world.sql("UPDATE hub.delivery SET state = 'done' WHERE message_id = ANY (:ids)", ids=events[:7])
    with world.engine.connect() as conn:
        assert store.count_outcomes(conn, job, limit=10_000) == {"done": 7, "due": 3}
        assert sum(store.count_outcomes(conn, job, limit=4).values()) == 4


def test_progress_grows_with_what_was_looked_through(world: World, past: Past) -> None:
    for n in range(2):
        world.endpoint(NOWHERE, f"e{n}")
    past.age(past.events(10), 1)
    past.events(10)
    job = past.replay(since=past.read()["since"] - timedelta(hours=1))
    slow(past, job, 5)
    seen = [0.0]
    while past.job(job).state != "done":
        pass_time(past, 1)
        past.runner().step()
        seen.append(past.job(job).fraction)
    assert seen == sorted(seen)
    assert len([one for one in seen if 0 < one < 1]) >= 6
    assert any(0.2 < one < 0.5 for one in seen)
    assert any(0.5 < one < 0.9 for one in seen)


def test_a_tenant_has_a_bounded_number_of_open_jobs(world: World, past: Past) -> None:
    made = [past.replay() for _ in range(jobs.MAX_OPEN)]
    with pytest.raises(Conflict, match="20 replays are not over yet"):
        past.replay()
    past.steer(made[0], "cancelled")
    past.replay()


def test_old_jobs_go_when_a_new_one_is_made(world: World, past: Past) -> None:
    world.endpoint(NOWHERE)
    past.events(1)
    old, waiting = past.replay(), past.replay()
    past.steer(waiting, "paused")
    past.run()
    for job in (old, waiting):
        shifted = f"{(job.int - (10 * 86_400_000 << 80)):032x}"
        world.sql("UPDATE hub.replay SET id = CAST(:new AS uuid) WHERE id = :old", new=shifted, old=job)
        world.sql(
            "UPDATE hub.replay_step SET replay_id = CAST(:new AS uuid) WHERE replay_id = :old",
            new=shifted,
            old=job,
        )
    new = past.replay()
    assert world.sql("SELECT count(*), count(*) FILTER (WHERE id = :new) FROM hub.replay", new=new) == [
        (2, 1)
    ]
    assert world.sql("SELECT count(*) FROM hub.replay_step") == [(0,)]
