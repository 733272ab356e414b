"""The response cache on a real Valkey: one call for many equal ones, whatever becomes of the one who makes it."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import pytest
import redis

from hub.limits.cache import Busy, Hit, Lead, ResponseCache, cache_key
from hub.limits.reach import Reach, connect
from tests.support.waiting import until

TENANT = UUID(int=1)
KEY = cache_key(TENANT, "get_user", {"id": 7})


@pytest.fixture
def cache(reach: Reach) -> ResponseCache:
    return ResponseCache(reach, max_bytes=10_000, rng=random.Random(1))


@pytest.fixture
def workers(redis_url: str) -> Iterator[list[ResponseCache]]:
    """Five caches with connections of their own, as in five processes."""
    with ExitStack() as stack:
        yield [ResponseCache(Reach(stack.enter_context(connect(redis_url)))) for _ in range(5)]


def together(count: int, action: object) -> None:
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        action(number)  # type: ignore[operator]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_fifty_equal_calls_over_five_workers_cost_one(workers: list[ResponseCache]) -> None:
    calls: list[int] = []
    answers: list[bytes] = []

    def execute(number: int) -> None:
        cache = workers[number % 5]
        found = cache.wait(KEY, str(number), lease=30, patience=20)
        if isinstance(found, Lead):
            calls.append(number)
            time.sleep(0.3)  # the service thinks
            cache.put(KEY, b"answer", 60, owner=str(number))
            answers.append(b"answer")
        else:
            assert isinstance(found, Hit)
            answers.append(found.value)

    together(50, execute)
    assert len(calls) == 1
    assert answers == [b"answer"] * 50


def test_a_leader_that_vanishes_is_followed_by_one_other_when_its_lease_ends(
    workers: list[ResponseCache],
) -> None:
    began = time.monotonic()
    assert workers[0].claim(KEY, "vanishes", lease=0.4) == Lead()
    leaders: list[float] = []

    def execute(number: int) -> None:
        found = workers[number % 5].wait(KEY, str(number), lease=30, patience=20)
        if isinstance(found, Lead):
            leaders.append(time.monotonic() - began)
            workers[number % 5].put(KEY, b"x", 60, owner=str(number))

    together(20, execute)
    assert len(leaders) == 1
    assert leaders[0] >= 0.4


def test_a_leader_that_fails_hands_over_at_once(cache: ResponseCache) -> None:
    assert cache.claim(KEY, "first", lease=60) == Lead()
    assert isinstance(cache.claim(KEY, "second", lease=60), Busy)
    cache.release(KEY, "second")
    assert isinstance(cache.claim(KEY, "second", lease=60), Busy)
    cache.release(KEY, "first")
    assert cache.claim(KEY, "second", lease=60) == Lead()
    assert isinstance(cache.claim(KEY, "first", lease=60), Busy)


def test_who_led_too_long_may_still_put_and_ends_nobody_elses_lead(
    client: redis.Redis, cache: ResponseCache
) -> None:
    cache.claim(KEY, "slow", lease=0.05)
    until(lambda: not client.exists(f"hub:limits:claim:{KEY}"))
    assert cache.claim(KEY, "next", lease=60) == Lead()
    assert cache.put(KEY, b"late", 60, owner="slow")
    assert client.get(f"hub:limits:claim:{KEY}") == b"next"
    assert cache.claim(KEY, "other", lease=60) == Hit(b"late")


def test_claiming_again_renews_the_lease(client: redis.Redis, cache: ResponseCache) -> None:
    cache.claim(KEY, "me", lease=5)
    assert cache.claim(KEY, "me", lease=60) == Lead()
    assert client.pttl(f"hub:limits:claim:{KEY}") > 50_000


def test_the_others_are_told_to_come_back_soon_at_first_and_later_when_it_takes_long(
    client: redis.Redis, cache: ResponseCache
) -> None:
    cache.claim(KEY, "leader", lease=60)
    soon = [cache.claim(KEY, "other", lease=60) for _ in range(50)]
    assert all(isinstance(hint, Busy) and 0.05 <= hint.retry_after <= 0.2 for hint in soon)
    assert len(set(soon)) > 10
    client.pexpire(f"hub:limits:claim:{KEY}", 40_000)
    later = cache.claim(KEY, "other", lease=60)
    assert isinstance(later, Busy)
    assert 10 <= later.retry_after <= 30
    client.pexpire(f"hub:limits:claim:{KEY}", 1_000)
    last = cache.claim(KEY, "other", lease=60)
    assert isinstance(last, Busy)
    assert last.retry_after <= 1


def test_patience_ends(reach: Reach) -> None:
    naps: list[float] = []
    cache = ResponseCache(reach, sleep=naps.append)
    cache.claim(KEY, "leader", lease=60)
    assert isinstance(cache.wait(KEY, "other", lease=60, patience=3), Busy)
    assert sum(naps) == pytest.approx(3)
    assert len(naps) < 40


@pytest.mark.parametrize(
    "value",
    [b"", b"x", bytes(range(256)), b"ab" * 5_000, os.urandom(9_000), b"z" * 10_000],
    ids=["empty", "one", "every-byte", "repeats", "random", "at-the-cap"],
)
def test_values_come_back_as_they_were(cache: ResponseCache, value: bytes) -> None:
    assert cache.put(KEY, value, 60)
    assert cache.get(KEY) == value
    assert cache.claim(KEY, "anyone", lease=60) == Hit(value)


def test_a_large_value_is_compressed_when_that_pays(client: redis.Redis, cache: ResponseCache) -> None:
    cache.put(KEY, b"{'name': 'value'}" * 500, 60)
    assert client.strlen(f"hub:limits:cache:{KEY}") < 1_000
    cache.put(KEY, os.urandom(9_000), 60)
    assert client.strlen(f"hub:limits:cache:{KEY}") == 9_001


def test_an_answer_over_the_cap_is_not_kept_and_equal_calls_then_run_side_by_side(
    client: redis.Redis, cache: ResponseCache
) -> None:
    assert cache.claim(KEY, "first", lease=60) == Lead()
    assert not cache.put(KEY, b"x" * 10_001, 3600, owner="first")
    assert cache.get(KEY) is None
    for owner in ("second", "third"):
        assert cache.claim(KEY, owner, lease=60) == Lead(alone=False)
    assert 0 < client.pttl(f"hub:limits:cache:{KEY}") <= 60_000
    # It became smaller.
    assert cache.put(KEY, b"x", 60, owner="second")
    assert cache.get(KEY) == b"x"


@pytest.mark.parametrize("stored", [b"", b"?", b"zgarbage", b"z"])
def test_what_cannot_be_read_is_a_miss(client: redis.Redis, cache: ResponseCache, stored: bytes) -> None:
    client.set(f"hub:limits:cache:{KEY}", stored, px=60_000)
    assert cache.get(KEY) is None
    assert isinstance(cache.claim(KEY, "me", lease=60), Lead)
    assert cache.put(KEY, b"fresh", 60, owner="me")
    assert cache.get(KEY) == b"fresh"


def test_a_value_that_was_written_under_a_larger_cap_is_a_miss(reach: Reach, cache: ResponseCache) -> None:
    assert ResponseCache(reach, max_bytes=1_000_000).put(KEY, b"x" * 500_000, 60)
    assert cache.get(KEY) is None


def test_a_hit_a_miss_and_a_put_are_one_round_trip_each(client: redis.Redis, cache: ResponseCache) -> None:
    def looks() -> int:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    cache.claim("k", "warm", lease=1)
    cache.put("k", b"", 1)
    before = looks()
    cache.claim(KEY, "me", lease=60)
    assert looks() == before + 1
    cache.put(KEY, b"x", 60, owner="me")
    assert looks() == before + 2
    cache.claim(KEY, "other", lease=60)
    assert looks() == before + 3


def test_every_key_expires_and_values_do_so_on_time(client: redis.Redis, cache: ResponseCache) -> None:
    cache.claim("claimed", "me", lease=30)
    cache.put(KEY, b"x", 30)
    assert len(client.keys("hub:limits:*")) == 2
    assert all(0 < client.pttl(key) <= 30_000 for key in client.scan_iter())
    cache.put(KEY, b"x", 0.02)
    until(lambda: cache.get(KEY) is None)


def test_tenants_share_nothing(cache: ResponseCache) -> None:
    cache.put(cache_key(UUID(int=1), "same"), b"theirs", 60)
    assert cache.get(cache_key(UUID(int=2), "same")) is None
