from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from hub.core.errors import Invalid, NotFound, TooLarge
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.vault.envelope import Undecryptable
from hub.vault.keyring import generate_key, parse_keys
from hub.vault.vault import MAX_SECRET_BYTES, NewSecret, Vault

TENANT, OTHER = new_uuid(), new_uuid()
CANARY = "canary-5f2b9d-secret-value"


@pytest.fixture
def vault() -> Vault:
    return Vault(parse_keys(generate_key(os.urandom)))


def put(engine: Engine, vault: Vault, value: str = CANARY, tenant: UUID = TENANT) -> UUID:
    with engine.begin() as conn:
        return vault.put(conn, tenant, "integration", "password", Secret(value))


@contextmanager
def recorded(engine: Engine) -> Iterator[list[str]]:
    """The statements that run inside."""
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_secret_comes_back_to_its_tenant(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault, "пароль\x00\U0001f511")
    with engine.connect() as conn:
        assert vault.get(conn, TENANT, secret_id) == Secret("пароль\x00\U0001f511")


def test_another_tenant_and_an_unknown_id_look_alike(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault)
    with engine.begin() as conn:
        for tenant, wanted in ((OTHER, secret_id), (TENANT, new_uuid())):
            with pytest.raises(NotFound, match="There is no secret"):
                vault.get(conn, tenant, wanted)
            with pytest.raises(NotFound, match="There is no secret"):
                vault.replace(conn, tenant, wanted, Secret("another value"))
        assert vault.delete(conn, OTHER, [secret_id]) == 0
        assert vault.describe(conn, OTHER, [secret_id]) == {}
        assert vault.get_many(conn, [(OTHER, secret_id)]) == {}
        assert vault.get(conn, TENANT, secret_id) == Secret(CANARY)


def test_the_database_holds_no_plaintext(engine: Engine, vault: Vault) -> None:
    put(engine, vault)
    with engine.connect() as conn:
        row = conn.execute(text("SELECT * FROM hub.secret")).one()
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert CANARY.encode() not in stored
    assert CANARY[:-4].encode() not in stored


def test_many_are_stored_in_order_and_read_in_one_statement_each(engine: Engine, vault: Vault) -> None:
    wanted = [
        NewSecret(tenant, "endpoint", "key", Secret(f"value {n}"))
        for n in range(50)
        for tenant in (TENANT, OTHER)
    ]
    with engine.begin() as conn:
        ids = vault.put_many(conn, wanted)
    pairs = [(new.tenant_id, secret_id) for new, secret_id in zip(wanted, ids, strict=True)]
    with engine.connect() as conn, recorded(engine) as statements:
        found = vault.get_many(conn, pairs)
    assert found == {secret_id: new.secret for new, secret_id in zip(wanted, ids, strict=True)}
    assert len(statements) == 1


def test_nothing_to_store_or_read_is_no_query(engine: Engine, vault: Vault) -> None:
    with engine.begin() as conn, recorded(engine) as statements:
        assert vault.put_many(conn, []) == []
        assert vault.get_many(conn, []) == {}
    assert statements == []


def test_one_bad_row_does_not_stop_the_others(
    engine: Engine, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = put(engine, vault), put(engine, vault)
    with engine.begin() as conn:
        conn.execute(text("UPDATE hub.secret SET ciphertext = '\\x00' WHERE id = :id"), {"id": bad})
        assert vault.get_many(conn, [(TENANT, good), (TENANT, bad), (TENANT, new_uuid())]) == {
            good: Secret(CANARY)
        }
    assert str(bad) in caplog.text


def test_a_ciphertext_copied_over_another_row_does_not_open(engine: Engine, vault: Vault) -> None:
    mine, stolen = put(engine, vault, tenant=OTHER), put(engine, vault)
    with engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE hub.secret a SET wrapped_key = b.wrapped_key, nonce = b.nonce, ciphertext = b.ciphertext"
                " FROM hub.secret b WHERE a.id = :mine AND b.id = :stolen"
            ),
            {"mine": mine, "stolen": stolen},
        )
        with pytest.raises(Undecryptable):
            vault.get(conn, OTHER, mine)


def test_a_row_given_to_another_tenant_does_not_open(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault)
    with engine.begin() as conn:
        conn.execute(text("UPDATE hub.secret SET tenant_id = :other"), {"other": OTHER})
        with pytest.raises(Undecryptable):
            vault.get(conn, OTHER, secret_id)


def test_replacing_keeps_the_id_and_changes_everything_else(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault)
    with engine.begin() as conn:
        before = conn.execute(
            text("SELECT version, wrapped_key, nonce, ciphertext, last4 FROM hub.secret")
        ).one()
        vault.replace(conn, TENANT, secret_id, Secret("another-value-of-1234"))
        after = conn.execute(
            text("SELECT version, wrapped_key, nonce, ciphertext, last4 FROM hub.secret")
        ).one()
        assert vault.get(conn, TENANT, secret_id) == Secret("another-value-of-1234")
    assert after.version == before.version + 1
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_an_old_ciphertext_put_back_does_not_open(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault)
    with engine.begin() as conn:
        old = conn.execute(text("SELECT wrapped_key, nonce, ciphertext FROM hub.secret")).one()._asdict()
        vault.replace(conn, TENANT, secret_id, Secret("another value"))
        conn.execute(
            text(
                "UPDATE hub.secret SET wrapped_key = :wrapped_key, nonce = :nonce, ciphertext = :ciphertext"
            ),
            old,
        )
        with pytest.raises(Undecryptable):
            vault.get(conn, TENANT, secret_id)


def test_deleting_counts_what_was_there(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault)
    with engine.begin() as conn:
        assert vault.delete(conn, TENANT, [secret_id, new_uuid()]) == 1
        with pytest.raises(NotFound):
            vault.get(conn, TENANT, secret_id)


def test_a_description_shows_the_end_of_a_long_secret_and_nothing_of_a_short_one(
    engine: Engine, vault: Vault
) -> None:
    long, short = put(engine, vault), put(engine, vault, "hunter2")
    with engine.connect() as conn:
        shown = vault.describe(conn, TENANT, [long, short])
    assert (shown[long].last4, shown[long].fingerprint) == ("alue", Secret(CANARY).fingerprint)
    assert (shown[short].last4, shown[short].fingerprint) == ("", "")


@pytest.mark.parametrize(
    ("value", "error"),
    [("", Invalid), ("\ud800", Invalid), ("x" * (MAX_SECRET_BYTES + 1), TooLarge)],
    ids=["empty", "half a surrogate pair", "too large"],
)
def test_a_value_that_cannot_be_a_secret_is_refused_at_its_field(
    engine: Engine, vault: Vault, value: str, error: type[Invalid]
) -> None:
    with engine.begin() as conn:
        with pytest.raises(error) as caught:
            vault.put_many(
                conn,
                [
                    NewSecret(TENANT, "integration", "user", Secret("fine")),
                    NewSecret(TENANT, "integration", "password", Secret(value)),
                ],
            )
        assert conn.scalar(text("SELECT count(*) FROM hub.secret")) == 0
    assert [fault.path for fault in caught.value.fields] == ["password"]


def test_the_largest_secret_and_one_that_ends_in_control_characters_are_stored(
    engine: Engine, vault: Vault
) -> None:
    for value in ("x" * MAX_SECRET_BYTES, "a value that ends so\x00\x01"):
        secret_id = put(engine, vault, value)
        with engine.connect() as conn:
            assert vault.get(conn, TENANT, secret_id) == Secret(value)


def test_a_process_without_the_key_says_which_key_is_missing(engine: Engine, vault: Vault) -> None:
    secret_id = put(engine, vault)
    stranger = Vault(parse_keys(generate_key(os.urandom)))
    with engine.connect() as conn:
        kek_id = conn.scalar(text("SELECT kek_id FROM hub.secret"))
        with pytest.raises(Undecryptable, match=f"under key {kek_id}, which this process does not hold"):
            stranger.get(conn, TENANT, secret_id)


def test_a_rolled_back_transaction_leaves_no_secret(engine: Engine, vault: Vault) -> None:
    with engine.connect() as conn:
        secret_id = vault.put(conn, TENANT, "integration", "password", Secret(CANARY))
        conn.rollback()
        with pytest.raises(NotFound):
            vault.get(conn, TENANT, secret_id)
