from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from hub.core.errors import ConfigError, Conflict
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.vault.envelope import Undecryptable
from hub.vault.keyring import generate_key, parse_keys
from hub.vault.vault import NewSecret, Vault

TENANT = new_uuid()
OLD, NEW, STRANGE = (generate_key(os.urandom) for _ in range(3))
OLD_ID, NEW_ID = parse_keys(OLD).primary.id, parse_keys(NEW).primary.id


def vault_of(*keys: str) -> Vault:
    return Vault(parse_keys(",".join(keys)))


def fill(engine: Engine, vault: Vault, count: int) -> dict[UUID, Secret]:
    secrets = [Secret(f"value {number}") for number in range(count)]
    with engine.begin() as conn:
        ids = vault.put_many(conn, [NewSecret(TENANT, "endpoint", "key", secret) for secret in secrets])
    return dict(zip(ids, secrets, strict=True))


def check(engine: Engine, vault: Vault) -> None:
    with engine.begin() as conn:
        vault.check(conn)


def rotate(engine: Engine, vault: Vault, *, batch: int = 50) -> int:
    moved = 0
    while True:
        with engine.begin() as conn:
            done = vault.rewrap(conn, batch)
        moved += done.moved
        if done.left == 0:
            return moved


def retire(engine: Engine, vault: Vault) -> None:
    while True:
        with engine.begin() as conn:
            if vault.retire(conn, 50).left == 0:
                return


def read_all(engine: Engine, vault: Vault, secrets: dict[UUID, Secret]) -> dict[UUID, Secret]:
    with engine.connect() as conn:
        return vault.get_many(conn, [(TENANT, secret_id) for secret_id in secrets])


def canaries(engine: Engine) -> set[str]:
    with engine.connect() as conn:
        return set(conn.scalars(text("SELECT kek_id FROM hub.vault_canary")))


def test_an_empty_database_takes_the_first_ring_and_refuses_another(engine: Engine) -> None:
    check(engine, vault_of(OLD))
    check(engine, vault_of(OLD))
    assert canaries(engine) == {OLD_ID}
    with pytest.raises(ConfigError, match=f"started with key {OLD_ID}"):
        check(engine, vault_of(STRANGE))
    assert canaries(engine) == {OLD_ID}


def test_processes_that_start_at_once_on_an_empty_database_agree_on_one_ring(engine: Engine) -> None:
    def start(key: str) -> bool:
        try:
            check(engine, vault_of(key))
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(start, [OLD, NEW] * 4))
    assert len(canaries(engine)) == 1
    assert sum(started) == 4


def test_a_new_primary_is_welcome_beside_a_key_of_this_database(engine: Engine) -> None:
    check(engine, vault_of(OLD))
    check(engine, vault_of(NEW, OLD))
    assert canaries(engine) == {OLD_ID, NEW_ID}


def test_a_ring_without_a_key_that_is_in_use_is_refused_with_the_way_out(engine: Engine) -> None:
    check(engine, vault_of(OLD))
    fill(engine, vault_of(OLD), 3)
    check(engine, vault_of(NEW, OLD))
    with pytest.raises(
        ConfigError, match=rf"3 secrets are under key {OLD_ID}.*Put that key back.*hub keys rotate"
    ):
        check(engine, vault_of(NEW))


def test_a_canary_that_does_not_open_stops_the_start(engine: Engine) -> None:
    check(engine, vault_of(OLD))
    with engine.begin() as conn:
        conn.execute(text("UPDATE hub.vault_canary SET ciphertext = '\\x00'"))
    with pytest.raises(ConfigError, match="canary record"):
        check(engine, vault_of(OLD))


def test_rotation_moves_data_keys_only_and_every_secret_stays_readable(engine: Engine) -> None:
    old, both = vault_of(OLD), vault_of(NEW, OLD)
    secrets = fill(engine, old, 120)
    ciphertexts = text("SELECT id, nonce, ciphertext FROM hub.secret")
    with engine.connect() as conn:
        before = set(conn.execute(ciphertexts))
    assert rotate(engine, both) == 120
    with engine.connect() as conn:
        after = set(conn.execute(ciphertexts))
        assert set(conn.scalars(text("SELECT kek_id FROM hub.secret"))) == {NEW_ID}
    assert after == before
    for vault in (old, both, vault_of(OLD, NEW), vault_of(NEW)):
        assert read_all(engine, vault, secrets) == secrets
    assert rotate(engine, both) == 0


def test_a_process_that_was_not_given_the_new_key_can_even_restart_during_a_rotation(engine: Engine) -> None:
    check(engine, vault_of(OLD))
    fill(engine, vault_of(OLD), 3)
    check(engine, vault_of(NEW, OLD))
    rotate(engine, vault_of(NEW, OLD))
    check(engine, vault_of(OLD))


def test_after_retirement_the_old_key_opens_nothing(engine: Engine) -> None:
    both = vault_of(NEW, OLD)
    check(engine, vault_of(OLD))
    secrets = fill(engine, vault_of(OLD), 120)
    check(engine, both)
    with pytest.raises(Conflict, match="hub keys rotate"):
        retire(engine, both)
    rotate(engine, both)
    retire(engine, both)
    assert read_all(engine, vault_of(OLD), secrets) == {}
    with engine.connect() as conn, pytest.raises(Undecryptable):
        vault_of(OLD).get(conn, TENANT, next(iter(secrets)))
    check(engine, vault_of(NEW))
    assert read_all(engine, vault_of(NEW), secrets) == secrets
    assert canaries(engine) == {NEW_ID}
    with pytest.raises(ConfigError):
        check(engine, vault_of(OLD))


def test_a_secret_replaced_after_a_rotation_is_closed_to_the_old_key(engine: Engine) -> None:
    secrets = fill(engine, vault_of(OLD), 1)
    rotate(engine, vault_of(NEW, OLD))
    secret_id = next(iter(secrets))
    with engine.begin() as conn:
        vault_of(NEW, OLD).replace(conn, TENANT, secret_id, Secret("fresh"))
        with pytest.raises(Undecryptable):
            vault_of(OLD).get(conn, TENANT, secret_id)


def test_a_broken_secret_is_reported_and_does_not_stop_the_others(engine: Engine) -> None:
    both = vault_of(NEW, OLD)
    secrets = fill(engine, vault_of(OLD), 10)
    bad = next(iter(secrets))
    with engine.begin() as conn:
        conn.execute(text("UPDATE hub.secret SET wrapped_key = '\\x00' WHERE id = :id"), {"id": bad})
        first = both.rewrap(conn, 100)
        assert (first.moved, first.left, first.broken) == (9, 1, (bad,))
        again = both.rewrap(conn, 100, first.broken)
        assert (again.moved, again.left, again.broken) == (0, 1, ())


def test_rows_that_another_rotation_holds_are_passed_over(engine: Engine) -> None:
    both = vault_of(NEW, OLD)
    fill(engine, vault_of(OLD), 10)
    with engine.begin() as one, engine.begin() as other:
        assert both.rewrap(one, 6).moved == 6
        batch = both.rewrap(other, 100)
        assert (batch.moved, batch.left) == (4, 6)  # `one` is not committed yet


def test_no_read_fails_while_secrets_are_rotated_and_retired(engine: Engine) -> None:
    secrets = fill(engine, vault_of(OLD), 400)
    pairs = [(TENANT, secret_id) for secret_id in secrets]
    rotated, stop = threading.Event(), threading.Event()
    reads, failures = [0] * 4, []

    def read(number: int, vault: Vault, until: threading.Event) -> None:
        while not until.is_set():
            with engine.connect() as conn:
                found = vault.get_many(conn, pairs)
            reads[number] += 1
            if found != secrets:
                failures.append(number)

    threads = [
        # A process that runs since before the rotation knows the old key alone, or both with the old one first.
        threading.Thread(target=read, args=(0, vault_of(OLD), rotated)),
        threading.Thread(target=read, args=(1, vault_of(OLD, NEW), stop)),
        threading.Thread(target=read, args=(2, vault_of(NEW, OLD), stop)),
        threading.Thread(target=read, args=(3, vault_of(NEW, OLD), stop)),
    ]
    for thread in threads:
        thread.start()
    try:
        _until(lambda: min(reads) > 0)
        with ThreadPoolExecutor(2) as pool:
            moved = sum(pool.map(lambda _: rotate(engine, vault_of(NEW, OLD), batch=7), range(2)))
        seen = list(reads)
        _until(lambda: all(now > then for now, then in zip(reads, seen, strict=True)))
        rotated.set()
        threads[0].join(10)
        retire(engine, vault_of(NEW, OLD))
        seen = reads[1:]
        _until(lambda: all(now > then for now, then in zip(reads[1:], seen, strict=True)))
    finally:
        rotated.set()
        stop.set()
        for thread in threads:
            thread.join(10)
    assert failures == []
    assert moved == 400


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true within 20 s"
        time.sleep(0.01)
