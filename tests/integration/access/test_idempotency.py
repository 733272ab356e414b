from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from hub.access import idempotency_store as store
from hub.access.idempotency import Claim, Fresh, IdempotencyKeyReused, Replay, hash_body
from hub.core.ids import new_uuid

TENANT, OTHER = new_uuid(), new_uuid()
SCOPE = "events.publish"
BODY, BODY_2 = hash_body(b'{"a":1}'), hash_body(b'{"a":2}')


def publish(key: str, *, body: bytes = BODY, tenant: UUID = TENANT) -> Claim:
    """A claim that knows its answer beforehand, as the publish route does."""
    made = new_uuid()
    return Claim(tenant, SCOPE, key, body, made, 202, {"id": str(made)})


def answer_of(claim: Claim) -> Replay:
    return Replay(claim.status, claim.response, claim.resource_id)


def wait_for_waiters(engine: Engine, count: int) -> None:
    """Until so many sessions of this database wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 10
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while conn.scalar(waiting) != count:
            assert time.monotonic() < deadline, f"fewer than {count} sessions wait for a lock"
            time.sleep(0.01)


def test_the_first_claim_is_fresh_and_the_next_one_gets_its_answer(engine: Engine) -> None:
    made = new_uuid()
    with engine.begin() as conn:
        assert store.claim_key(conn, TENANT, SCOPE, "k", BODY) == Fresh()
        store.finish_key(
            conn, TENANT, SCOPE, "k", status=202, response={"id": "msg_1", "n": [1]}, resource_id=made
        )
    with engine.begin() as conn:
        assert store.claim_key(conn, TENANT, SCOPE, "k", BODY) == Replay(202, {"id": "msg_1", "n": [1]}, made)


def test_another_body_is_refused(engine: Engine) -> None:
    with engine.begin() as conn:
        store.claim_key(conn, TENANT, SCOPE, "k", BODY)
        with pytest.raises(IdempotencyKeyReused):
            store.claim_key(conn, TENANT, SCOPE, "k", BODY_2)


def test_a_key_belongs_to_its_tenant_and_scope(engine: Engine) -> None:
    with engine.begin() as conn:
        assert store.claim_key(conn, TENANT, SCOPE, "k", BODY) == Fresh()
        assert store.claim_key(conn, OTHER, SCOPE, "k", BODY_2) == Fresh()
        assert store.claim_key(conn, TENANT, "executions.create", "k", BODY_2) == Fresh()


def test_a_claim_whose_work_rolls_back_leaves_the_key_free(engine: Engine) -> None:
    with engine.connect() as conn:
        assert store.claim_key(conn, TENANT, SCOPE, "k", BODY) == Fresh()
        conn.rollback()
        assert store.claim_key(conn, TENANT, SCOPE, "k", BODY_2) == Fresh()


def test_a_claim_that_was_committed_without_an_answer_is_still_at_work(engine: Engine) -> None:
    with engine.begin() as conn:
        store.claim_key(conn, TENANT, SCOPE, "k", BODY)
    with engine.begin() as conn:
        assert store.claim_key(conn, TENANT, SCOPE, "k", BODY) == Replay(None, None, None)


def test_twenty_threads_with_one_key_do_the_work_once(engine: Engine) -> None:
    start = threading.Barrier(20)
    made: list[UUID] = []

    def request(_: int) -> Fresh | Replay:
        start.wait(10)
        with engine.begin() as conn:
            outcome = store.claim_key(conn, TENANT, SCOPE, "k", BODY)
            if isinstance(outcome, Fresh):
                made.append(new_uuid())
                store.finish_key(conn, TENANT, SCOPE, "k", status=202, response={}, resource_id=made[-1])
        return outcome

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(request, range(20)))
    assert len(made) == 1
    assert outcomes.count(Fresh()) == 1
    assert outcomes.count(Replay(202, {}, made[0])) == 19


def test_a_batch_answers_each_claim_in_order(engine: Engine) -> None:
    before = publish("used")
    with engine.begin() as conn:
        store.claim_many(conn, [before])
    first, twin, fight = publish("new"), publish("new"), publish("new", body=BODY_2)
    batch = [publish("used"), first, twin, fight, publish("used", body=BODY_2), publish("used", tenant=OTHER)]
    with engine.begin() as conn:
        outcomes = store.claim_many(conn, batch)
    assert outcomes[:3] == [answer_of(before), Fresh(), answer_of(first)]
    assert isinstance(outcomes[3], IdempotencyKeyReused)
    assert isinstance(outcomes[4], IdempotencyKeyReused)
    assert outcomes[5] == Fresh()
    with engine.begin() as conn:
        assert store.claim_many(conn, [publish("new")]) == [answer_of(first)]


def test_an_empty_batch_is_nothing(engine: Engine) -> None:
    with engine.begin() as conn:
        assert store.claim_many(conn, []) == []


def test_the_same_claim_object_twice_is_fresh_once(engine: Engine) -> None:
    claim = publish("k")
    with engine.begin() as conn:
        assert store.claim_many(conn, [claim, claim]) == [Fresh(), answer_of(claim)]


def test_batches_with_common_keys_in_other_orders_do_not_deadlock(engine: Engine) -> None:
    def commit(order: str) -> list[object]:
        with engine.begin() as conn:
            return list(store.claim_many(conn, [publish(key) for key in order]))

    with ThreadPoolExecutor(2) as pool:
        with engine.begin() as holder:
            # Both batches get half-way and stop here; in the order of their requests each would then hold what
            # the other one needs next.
            store.claim_many(holder, [publish("m")])
            batches = [pool.submit(commit, order) for order in ("amz", "zma")]
            wait_for_waiters(engine, 2)
        outcomes = [outcome for batch in batches for outcome in batch.result(20)]
    assert outcomes.count(Fresh()) == 2


def test_a_hundred_fresh_claims_are_one_row_each_with_their_answers(engine: Engine) -> None:
    batch = [publish(f"k{number}") for number in range(100)]
    with engine.begin() as conn:
        assert store.claim_many(conn, batch) == [Fresh()] * 100
    with engine.begin() as conn:
        assert store.claim_many(conn, batch) == [answer_of(claim) for claim in batch]


def test_pruning_deletes_what_is_older_and_frees_the_key(engine: Engine) -> None:
    with engine.begin() as conn:
        store.claim_many(conn, [publish(f"old{number}") for number in range(5)] + [publish("young")])
        conn.execute(
            text(
                "UPDATE hub.idempotency_key SET created_at = now() - interval '25 hours' WHERE key LIKE 'old%'"
            )
        )
    day_ago = datetime.now(UTC) - timedelta(hours=24)
    with engine.begin() as conn:
        assert store.prune_keys(conn, day_ago, limit=3) == 3
        assert store.prune_keys(conn, day_ago, limit=3) == 2
        assert store.prune_keys(conn, day_ago, limit=3) == 0
        assert store.claim_key(conn, TENANT, SCOPE, "old0", BODY_2) == Fresh()
        assert isinstance(store.claim_key(conn, TENANT, SCOPE, "young", BODY), Replay)
