"""Redis away, slow, restarted or full: nothing hangs, nothing raises but `OutOfReach`, and limits answer as set."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from hub.limits.cache import Hit, Lead, ResponseCache
from hub.limits.rates import Bucket, Denied, RateLimiter, Taken
from hub.limits.reach import OnOutage, OutOfReach, Reach, connect
from tests.integration.limits.conftest import OwnValkey

BUCKETS = [Bucket("b", 10, 1.0, burst=100)]


@pytest.fixture
def nobody() -> Iterator[redis.Redis]:
    """A client of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with connect(f"redis://127.0.0.1:{taken.getsockname()[1]}") as client:
            yield client


@pytest.fixture
def own(own_valkey: OwnValkey) -> Iterator[redis.Redis]:
    with connect(own_valkey.url, timeout=0.2) as client:
        yield client


def test_without_redis_the_limits_answer_as_set_and_the_cache_misses(nobody: redis.Redis) -> None:
    reach = Reach(nobody)
    admits = RateLimiter(reach, on_outage=OnOutage.ADMIT)
    refuses = RateLimiter(reach, on_outage=OnOutage.REFUSE)
    cache = ResponseCache(reach)
    began = time.monotonic()
    for _ in range(20):
        assert admits.take(BUCKETS) == Taken(counted=False)
        answer = refuses.take(BUCKETS)
        assert isinstance(answer, Denied)
        assert answer.bucket is None
        assert 1 <= answer.retry_after <= 3
        assert not refuses.penalise(["b"], 10)
        assert cache.claim("k", "me", lease=10) == Lead(alone=False)
        assert cache.get("k") is None
        assert not cache.put("k", b"x", 10, owner="me")
        cache.release("k", "me")
    assert time.monotonic() - began < 10


def test_a_paused_redis_costs_three_timeouts_and_then_nothing_until_it_is_tried_again(
    own_valkey: OwnValkey, own: redis.Redis
) -> None:
    now = 0.0
    reach = Reach(own, monotonic=lambda: now)
    limiter = RateLimiter(reach, on_outage=OnOutage.ADMIT)
    assert limiter.take(BUCKETS) == Taken()
    own_valkey.pause()
    began = time.monotonic()
    for _ in range(200):
        assert limiter.take(BUCKETS) == Taken(counted=False)
    # A timeout for each would be 40 seconds.
    assert 0.6 <= time.monotonic() - began < 10
    own_valkey.resume()
    assert limiter.take(BUCKETS) == Taken(counted=False)
    now = 1.0
    assert limiter.take(BUCKETS) == Taken()
    assert limiter.take(BUCKETS) == Taken()


def together(count: int, action: Callable[[], Taken | Denied]) -> list[Taken | Denied]:
    answers: list[Taken | Denied] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        answers.append(action())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_more_threads_than_connections_take_turns(redis_url: str) -> None:
    with connect(redis_url, connections=2) as client:
        limiter = RateLimiter(Reach(client), on_outage=OnOutage.REFUSE)
        answers = together(200, lambda: limiter.take(BUCKETS))
    assert sum(isinstance(answer, Taken) for answer in answers) >= 100
    assert all(answer.bucket == "b" for answer in answers if isinstance(answer, Denied))


def test_threads_that_wait_for_a_connection_of_a_paused_redis_are_not_held_for_long(
    own_valkey: OwnValkey,
) -> None:
    with connect(own_valkey.url, connections=2, timeout=0.1) as client:
        limiter = RateLimiter(Reach(client), on_outage=OnOutage.ADMIT)
        assert limiter.take(BUCKETS) == Taken()
        own_valkey.pause()
        began = time.monotonic()
        assert together(200, lambda: limiter.take(BUCKETS)) == [Taken(counted=False)] * 200
        # One after the other they would be held for ten seconds.
        assert time.monotonic() - began < 6
        own_valkey.resume()


def test_after_a_restart_the_next_call_is_counted_again(own_valkey: OwnValkey, own: redis.Redis) -> None:
    reach = Reach(own)
    limiter, cache = RateLimiter(reach, on_outage=OnOutage.REFUSE), ResponseCache(reach)
    assert limiter.take(BUCKETS, 100) == Taken()
    assert cache.put("k", b"x", 60)
    own_valkey.stop()
    assert isinstance(limiter.take(BUCKETS), Denied)
    own_valkey.start()
    # Limits start again, answers are gone.
    assert limiter.take(BUCKETS, 100) == Taken()
    assert cache.claim("k", "me", lease=10) == Lead()


def test_a_restart_between_two_calls_goes_unnoticed(own_valkey: OwnValkey, own: redis.Redis) -> None:
    limiter = RateLimiter(Reach(own), on_outage=OnOutage.REFUSE)
    assert limiter.take(BUCKETS) == Taken()
    own_valkey.stop()
    own_valkey.start()
    assert limiter.take(BUCKETS) == Taken()


def test_flushed_scripts_are_loaded_again(client: redis.Redis, reach: Reach) -> None:
    limiter, cache = RateLimiter(reach, on_outage=OnOutage.REFUSE), ResponseCache(reach)
    for _ in range(3):
        client.script_flush()
        assert limiter.take(BUCKETS) == Taken()
        assert limiter.penalise(["other"], 1)
        assert cache.put("k", b"x", 60)
        assert cache.claim("k", "me", lease=10) == Hit(b"x")


def test_a_full_redis_is_an_outage_of_that_call_alone(own: redis.Redis) -> None:
    reach = Reach(own)
    limiter, cache = RateLimiter(reach, on_outage=OnOutage.REFUSE), ResponseCache(reach)
    cache.put("k", b"x", 60)
    own.config_set("maxmemory", 1)
    for _ in range(10):
        assert isinstance(limiter.take(BUCKETS), Denied)
        assert not cache.put("l", b"x", 60)
    own.config_set("maxmemory", 0)
    assert limiter.take(BUCKETS) == Taken()


def test_out_of_reach_is_the_only_error_and_tells_no_address(nobody: redis.Redis) -> None:
    reach = Reach(nobody)
    script = reach.script("return 1")
    for _ in range(5):
        with pytest.raises(OutOfReach) as raised:
            reach.run(script, [], [])
        assert str(raised.value) == ""
