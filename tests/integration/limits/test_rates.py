"""Rates on a real Valkey: never too many in any second, all buckets or none, and a queue that keeps a bucket busy."""

from __future__ import annotations

import heapq
import multiprocessing
import random
import threading
import time
from collections.abc import Sequence

import pytest
import redis

from hub.limits.rates import Bucket, Denied, RateLimiter, Taken
from hub.limits.reach import OnOutage, Reach, connect
from hub.limits.turn import Turn
from tests.integration.limits.conftest import VirtualReach

#: A service that counts: it writes down its own time of each call.
_SERVE = "local t = redis.call('TIME') return redis.call('RPUSH', KEYS[1], t[1] * 1000000 + t[2])"
_SECONDS = 2.5


@pytest.fixture
def limiter(virtual: VirtualReach) -> RateLimiter:
    return RateLimiter(virtual, on_outage=OnOutage.REFUSE, rng=random.Random(1))


def most_in_a_second(moments: Sequence[float]) -> int:
    ordered = sorted(moments)
    first = most = 0
    for last, moment in enumerate(ordered):
        while ordered[first] < moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def taken(limiter: RateLimiter, *buckets: Bucket, cost: int = 1) -> bool:
    return isinstance(limiter.take(buckets, cost), Taken)


def denied(answer: Taken | Denied) -> Denied:
    assert isinstance(answer, Denied)
    return answer


def _work(url: str, seed: int, patience: float) -> None:
    """One worker that calls the service as often as it may."""
    rng = random.Random(seed)
    bucket = Bucket("service", 20, 1.0, burst=5)
    with connect(url) as client:
        limiter = RateLimiter(Reach(client), on_outage=OnOutage.REFUSE)
        serve = client.register_script(_SERVE)
        ends = time.monotonic() + _SECONDS
        while time.monotonic() < ends:
            answer = limiter.take([bucket], patience=patience)
            if isinstance(answer, Taken):
                time.sleep(answer.wait)
                serve(keys=["calls"])
            time.sleep(rng.uniform(0, 0.01))


@pytest.mark.parametrize("patience", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_four_workers_never_call_more_often_than_the_limit_and_leave_nothing_unused(
    client: redis.Redis, redis_url: str, kind: str, patience: float
) -> None:
    make = threading.Thread if kind == "threads" else multiprocessing.get_context("spawn").Process
    workers = [make(target=_work, args=(redis_url, seed, patience)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    moments = [int(at) / 1e6 for at in client.lrange("calls", 0, -1)]
    assert most_in_a_second(moments) <= 25
    assert len(moments) >= 20 * (moments[-1] - moments[0]) * 0.9


def test_a_burst_is_admitted_at_once_and_then_one_call_for_each_interval(
    limiter: RateLimiter, virtual: VirtualReach
) -> None:
    bucket = Bucket("b", 10, 1.0, burst=3)
    assert [taken(limiter, bucket) for _ in range(5)] == [True, True, True, False, False]
    virtual.now += 0.099
    assert not taken(limiter, bucket)
    virtual.now += 0.001
    assert taken(limiter, bucket)
    assert not taken(limiter, bucket)
    virtual.now += 3600
    assert [taken(limiter, bucket) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("limit", "period", "burst"), [(3, 1.0, 1), (7, 60.0, 4), (1000, 3.0, 17), (0.5, 1.0, 1)]
)
def test_rates_that_are_no_whole_number_of_microseconds_are_exact_too(
    limiter: RateLimiter, virtual: VirtualReach, limit: float, period: float, burst: int
) -> None:
    bucket = Bucket("b", limit, period, burst)
    start, rng = virtual.now, random.Random(4)
    admitted: list[float] = []
    while len(admitted) < 200:
        if taken(limiter, bucket):
            admitted.append(virtual.now)
        virtual.now += rng.uniform(0, 0.3) * period / limit
    for index, first in enumerate(admitted):
        for later in range(index, len(admitted)):
            assert later - index + 1 <= burst + (admitted[later] - first) * limit / period + 1e-3
    assert len(admitted) >= 0.8 * (virtual.now - start) * limit / period


def test_a_denial_tells_when_a_call_will_be_admitted(limiter: RateLimiter, virtual: VirtualReach) -> None:
    bucket = Bucket("b", 2, 60.0, burst=2)
    taken(limiter, bucket, cost=2)
    answer = denied(limiter.take([bucket]))
    assert answer == Denied(30.0, "b")
    virtual.now += 29.999
    assert not taken(limiter, bucket)
    virtual.now += 0.001
    assert taken(limiter, bucket)


def test_a_call_takes_from_every_bucket_or_from_none(limiter: RateLimiter, virtual: VirtualReach) -> None:
    wide, narrow = Bucket("integration", 10, 1.0, burst=10), Bucket("user", 1, 60.0)
    assert taken(limiter, wide, narrow)
    for _ in range(50):
        assert denied(limiter.take([wide, narrow])).bucket == "user"
    assert [taken(limiter, wide) for _ in range(10)] == [True] * 9 + [False]
    virtual.now += 60
    taken(limiter, wide, cost=10)
    assert denied(limiter.take([wide, narrow])) == Denied(0.1, "integration")
    assert taken(limiter, narrow)


def test_the_bucket_that_waits_longest_is_named(limiter: RateLimiter) -> None:
    buckets = [Bucket("a", 1, 10.0), Bucket("b", 1, 1000.0), Bucket("c", 1, 100.0)]
    taken(limiter, *buckets)
    assert denied(limiter.take(buckets)) == Denied(1000.0, "b")


def test_two_rates_under_one_key_are_two_limits(limiter: RateLimiter, virtual: VirtualReach) -> None:
    second, minute = Bucket("b", 5, 1.0, burst=5), Bucket("b", 8, 60.0, burst=8)
    assert sum(taken(limiter, second, minute) for _ in range(9)) == 5
    virtual.now += 1
    assert sum(taken(limiter, second, minute) for _ in range(9)) == 3


def test_the_same_bucket_named_twice_is_charged_once(limiter: RateLimiter) -> None:
    bucket = Bucket("b", 1, 60.0, burst=2)
    assert [taken(limiter, bucket, bucket) for _ in range(3)] == [True, True, False]


def test_a_cost_counts_as_so_many_calls(limiter: RateLimiter, virtual: VirtualReach) -> None:
    bucket = Bucket("b", 10, 1.0, burst=10)
    assert taken(limiter, bucket, cost=7)
    assert not taken(limiter, bucket, cost=4)
    assert taken(limiter, bucket, cost=3)
    virtual.now += 0.4
    assert taken(limiter, bucket, cost=4)


def test_a_cost_over_the_burst_waits_for_a_full_bucket_and_is_paid_off(
    limiter: RateLimiter, virtual: VirtualReach
) -> None:
    bucket = Bucket("b", 10, 1.0, burst=2)
    assert taken(limiter, bucket)
    assert not taken(limiter, bucket, cost=50)
    virtual.now += 0.1
    assert taken(limiter, bucket, cost=50)
    virtual.now += 4.85
    assert not taken(limiter, bucket)
    virtual.now += 0.05
    assert taken(limiter, bucket)


def test_a_changed_limit_inherits_no_debt(limiter: RateLimiter) -> None:
    assert [taken(limiter, Bucket("b", 1, 86_400.0)) for _ in range(2)] == [True, False]
    assert taken(limiter, Bucket("b", 100, 1.0))


def test_ten_and_ten_point_nothing_are_one_rate(limiter: RateLimiter) -> None:
    assert taken(limiter, Bucket("b", 1, 60))
    assert not taken(limiter, Bucket("b", 1.0, 60.0))


def test_no_bucket_no_round_trip(client: redis.Redis, limiter: RateLimiter) -> None:
    before = client.info("stats")["total_commands_processed"]
    assert limiter.take([]) == Taken()
    assert client.info("stats")["total_commands_processed"] == before + 1


def test_peeking_changes_nothing(client: redis.Redis, limiter: RateLimiter) -> None:
    bucket = Bucket("b", 1, 60.0, burst=2)
    for _ in range(5):
        assert limiter.peek([bucket]) == Taken()
    assert client.keys() == []
    taken(limiter, bucket, cost=2)
    for _ in range(5):
        assert limiter.peek([bucket]) == Denied(60.0, "b")
    assert denied(limiter.take([bucket])) == Denied(60.0, "b")


def test_patience_takes_a_call_that_comes_soon(limiter: RateLimiter, virtual: VirtualReach) -> None:
    bucket = Bucket("b", 10, 1.0)
    answers = [limiter.take([bucket], patience=0.3) for _ in range(5)]
    assert answers == [Taken(0.0), Taken(0.1), Taken(0.2), Taken(0.3), Denied(0.4, "b")]
    virtual.now += 0.3
    # A call that waits is counted when it is made.
    assert not taken(limiter, bucket)
    virtual.now += 0.1
    assert taken(limiter, bucket)


def test_a_call_that_waits_for_one_bucket_is_counted_in_the_others_when_it_is_made(
    limiter: RateLimiter, virtual: VirtualReach
) -> None:
    wide, narrow = Bucket("wide", 10, 1.0), Bucket("narrow", 2, 1.0)
    assert limiter.take([narrow]) == Taken()
    assert limiter.take([wide, narrow], patience=0.5) == Taken(0.5)
    virtual.now += 0.5
    assert not taken(limiter, wide)


def test_those_who_queue_are_told_different_moments_and_those_who_do_not_take_no_place(
    limiter: RateLimiter,
) -> None:
    bucket = Bucket("b", 10, 1.0)
    taken(limiter, bucket)
    told = [denied(limiter.take([bucket], turn=Turn.QUEUE)).retry_after for _ in range(1000)]
    assert told == pytest.approx([0.1 * n for n in range(1, 1001)])
    for _ in range(10):
        assert denied(limiter.take([bucket])).retry_after == pytest.approx(100.1)
    assert denied(limiter.take([bucket], turn=Turn.QUEUE)).retry_after == pytest.approx(100.1)


def test_who_was_called_stays_in_front_of_the_queue(limiter: RateLimiter, virtual: VirtualReach) -> None:
    bucket = Bucket("b", 10, 1.0)
    taken(limiter, bucket)
    for _ in range(100):
        limiter.take([bucket], turn=Turn.QUEUE)
    virtual.now += 0.1
    assert taken(limiter, bucket)
    told = [denied(limiter.take([bucket], turn=Turn.CALLED)).retry_after for _ in range(3)]
    assert told == pytest.approx([0.1, 0.2, 0.3])
    assert denied(limiter.take([bucket], turn=Turn.QUEUE)).retry_after == pytest.approx(10.0)


def test_a_new_caller_does_not_use_patience_to_overtake_the_queue(
    limiter: RateLimiter, virtual: VirtualReach
) -> None:
    bucket = Bucket("b", 10, 1.0)
    taken(limiter, bucket)
    for _ in range(100):
        limiter.take([bucket], turn=Turn.QUEUE)
    assert isinstance(limiter.take([bucket], turn=Turn.QUEUE, patience=0.5), Denied)
    assert limiter.take([bucket], turn=Turn.CALLED, patience=0.5) == Taken(0.1)


def test_a_caller_that_is_denied_again_and_again_does_not_push_the_queue_away(
    limiter: RateLimiter, virtual: VirtualReach
) -> None:
    bucket = Bucket("b", 1, 1.0)
    taken(limiter, bucket)
    told = [denied(limiter.take([bucket], turn=Turn.QUEUE)).retry_after for _ in range(5000)]
    assert max(told) <= 600
    full = told[600:]
    assert min(full) >= 300
    assert len({round(wait, 3) for wait in full}) > 4000
    # Nobody comes: what was told is forgotten as soon as the bucket has stood full for a while.
    virtual.now += 10
    assert taken(limiter, bucket)
    assert denied(limiter.take([bucket], turn=Turn.QUEUE)).retry_after == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("burst", "lateness", "patience", "newcomers", "takes"),
    [(1, 0.2, 0.5, 0.0, 3.0), (10, 0.2, 0.0, 0.5, 3.5), (10, 1.0, 0.5, 0.0, 3.0)],
)
def test_ten_thousand_waiting_callers_keep_the_bucket_busy_and_within_its_limit(
    limiter: RateLimiter,
    virtual: VirtualReach,
    burst: int,
    lateness: float,
    patience: float,
    newcomers: float,
    takes: float,
) -> None:
    """All come at once, each comes back somewhat later than told; in virtual time."""
    rng = random.Random(7)
    bucket = Bucket("b", 10, 1.0, burst)
    waiting = 10_000 if not newcomers else 4_000
    start = virtual.now
    coming = [(start, caller, Turn.QUEUE) for caller in range(waiting)]
    coming += [
        (start + rng.uniform(0, waiting / 10), waiting + caller, Turn.QUEUE)
        for caller in range(int(newcomers * waiting))
    ]
    callers = len(coming)
    heapq.heapify(coming)
    made: list[float] = []
    asked = 0
    while coming:
        virtual.now, caller, turn = heapq.heappop(coming)
        asked += 1
        answer = limiter.take([bucket], turn=turn, patience=patience)
        if isinstance(answer, Taken):
            made.append(virtual.now + answer.wait)
        else:
            back = virtual.now + answer.retry_after + rng.uniform(0, lateness)
            heapq.heappush(coming, (back, caller, Turn.CALLED))
    assert len(made) == callers
    assert most_in_a_second(made) <= 10 + burst
    assert max(made) - start <= callers / 10 * 1.03
    assert asked <= takes * callers


def test_a_penalty_pauses_every_rate_under_its_key_until_it_ends(
    limiter: RateLimiter, virtual: VirtualReach
) -> None:
    rated, unrated, other = Bucket("b", 10, 1.0, burst=10), Bucket("b", None), Bucket("c", 10, 1.0)
    assert limiter.penalise(["b"], 30)
    assert limiter.penalise(["b"], 5)
    for bucket in (rated, unrated):
        assert denied(limiter.take([bucket])) == Denied(30.0, "b")
    assert denied(limiter.take([other, rated])).bucket == "b"
    assert taken(limiter, other)
    virtual.now += 29.9
    assert not taken(limiter, rated)
    virtual.now += 0.1
    assert taken(limiter, rated)
    assert taken(limiter, unrated)


@pytest.mark.parametrize(("bucket", "apart"), [(Bucket("b", 10, 1.0), 0.1), (Bucket("b", None), 0.02)])
def test_those_who_wait_for_the_end_of_a_penalty_come_one_after_the_other(
    limiter: RateLimiter, bucket: Bucket, apart: float
) -> None:
    limiter.penalise(["b"], 20)
    told = [denied(limiter.take([bucket], turn=Turn.QUEUE)).retry_after for _ in range(100)]
    assert told == pytest.approx([20 + apart * n for n in range(100)])


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_penalty_of_nothing_is_none(limiter: RateLimiter, seconds: float) -> None:
    assert limiter.penalise(["b"], seconds)
    assert taken(limiter, Bucket("b", 1, 1.0))


def test_a_penalty_is_at_most_a_day(limiter: RateLimiter) -> None:
    limiter.penalise(["b"], float("inf"))
    assert denied(limiter.take([Bucket("b", None)])) == Denied(86_400.0, "b")


def test_every_key_expires_and_all_may_vanish(client: redis.Redis, limiter: RateLimiter) -> None:
    bucket = Bucket("b", 1, 3600.0)
    taken(limiter, bucket)
    limiter.take([bucket], turn=Turn.QUEUE)
    limiter.take([Bucket("p", None)])
    limiter.penalise(["p"], 30)
    limiter.take([Bucket("p", None)], turn=Turn.QUEUE)
    assert len(client.keys("hub:limits:*")) == client.dbsize() == 4
    assert all(client.pttl(key) >= 30_000 for key in client.scan_iter())
    client.flushdb()
    assert taken(limiter, bucket)


def test_every_worker_can_ask_what_is_paused(
    client: redis.Redis, limiter: RateLimiter, virtual: VirtualReach
) -> None:
    limiter.penalise(["a", "b"], 30)
    limiter.penalise(["a"], 10)
    limiter.penalise(["c"], 0.05)
    found = limiter.pauses(10)
    assert set(found) == {"a", "b", "c"}
    assert 29 < found["a"] <= 30
    assert list(limiter.pauses(1)) in (["a"], ["b"])
    virtual.now += 0.1
    assert set(limiter.pauses(10)) == {"a", "b"}
    client.flushdb()
    assert limiter.pauses(10) == {}


def test_a_take_is_one_round_trip_whatever_the_number_of_buckets(client: redis.Redis, reach: Reach) -> None:
    limiter = RateLimiter(reach, on_outage=OnOutage.REFUSE)
    buckets = [Bucket(str(n), 10, 1.0) for n in range(5)]
    limiter.take(buckets)
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    limiter.take(buckets)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
