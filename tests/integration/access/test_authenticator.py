from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from hub.access import store
from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.keys import make_key
from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.access.store import ApiKey
from hub.core.errors import Unauthenticated
from hub.core.ids import new_uuid

ADMIN = frozenset({Scope.ADMIN})


@dataclass
class SetClock:
    """A clock that moves when the test says so."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that look keys up inside."""
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "api_key" in statement:
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def issue(engine: Engine, *, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    with engine.begin() as conn:
        tenant = open_tenant(conn, f"t-{new_uuid().hex}")
        row, token = issue_key(conn, tenant.id, "test", ADMIN, expires_at=expires_at)
    return row, token.reveal()


def test_a_key_gives_its_tenant_and_scopes(engine: Engine) -> None:
    row, token = issue(engine)
    assert Authenticator(engine).authenticate(token) == Principal(row.tenant_id, row.id, ADMIN)


def test_a_busy_key_is_looked_up_once_in_two_seconds(engine: Engine, clock: SetClock) -> None:
    _, token = issue(engine)
    authenticator = Authenticator(engine, clock)
    with counted(engine) as statements:
        for _ in range(100):
            authenticator.authenticate(token)
            clock.pass_time(0.0199)
        assert len(statements) == 1
        clock.pass_time(0.01)
        authenticator.authenticate(token)
        assert len(statements) == 2


def test_a_revoked_key_stops_working_after_two_seconds(engine: Engine, clock: SetClock) -> None:
    row, token = issue(engine)
    authenticator = Authenticator(engine, clock)
    authenticator.authenticate(token)
    with engine.begin() as conn:
        store.revoke_key(conn, row.tenant_id, row.id)
    clock.pass_time(2.0)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(token)


def test_a_key_expires_at_its_second_although_it_is_remembered(engine: Engine, clock: SetClock) -> None:
    _, token = issue(engine, expires_at=clock.now() + timedelta(seconds=1))
    authenticator = Authenticator(engine, clock)
    clock.pass_time(0.999)
    authenticator.authenticate(token)
    clock.pass_time(0.001)
    with counted(engine) as statements, pytest.raises(Unauthenticated):
        authenticator.authenticate(token)
    assert statements == []


def test_a_wrong_secret_is_refused_before_and_after_the_right_one(engine: Engine) -> None:
    row, token = issue(engine)
    wrong = make_key(row.id, os.urandom(32))[0].reveal()
    authenticator = Authenticator(engine)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            authenticator.authenticate(wrong)
        authenticator.authenticate(token)


def test_an_unknown_key_is_remembered_too(engine: Engine, clock: SetClock) -> None:
    token = make_key(new_uuid(), os.urandom(32))[0].reveal()
    authenticator = Authenticator(engine, clock)
    with counted(engine) as statements:
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                authenticator.authenticate(token)
    assert len(statements) == 1


def test_a_mistyped_key_costs_no_query(engine: Engine) -> None:
    _, token = issue(engine)
    with counted(engine) as statements, pytest.raises(Unauthenticated, match="mistyped"):
        Authenticator(engine).authenticate(token[:-1] + ("a" if token[-1] != "a" else "b"))
    assert statements == []


def test_all_refusals_of_well_formed_keys_read_alike(engine: Engine, clock: SetClock) -> None:
    revoked, revoked_token = issue(engine)
    _, expired_token = issue(engine, expires_at=clock.now())
    known, _ = issue(engine)
    with engine.begin() as conn:
        store.revoke_key(conn, revoked.tenant_id, revoked.id)
    unknown_token, wrong_token = (
        make_key(key_id, os.urandom(32))[0].reveal() for key_id in (new_uuid(), known.id)
    )
    sentences = set()
    for token in (revoked_token, expired_token, unknown_token, wrong_token):
        with pytest.raises(Unauthenticated) as caught:
            Authenticator(engine, clock).authenticate(token)
        sentences.add(caught.value.detail)
    assert len(sentences) == 1


def test_the_memory_is_bounded_and_forgets_the_least_used(engine: Engine, clock: SetClock) -> None:
    tokens = [issue(engine)[1] for _ in range(3)]
    authenticator = Authenticator(engine, clock, max_remembered=2)
    authenticator.authenticate(tokens[0])
    authenticator.authenticate(tokens[1])
    authenticator.authenticate(tokens[0])
    authenticator.authenticate(tokens[2])
    with counted(engine) as statements:
        authenticator.authenticate(tokens[0])
        authenticator.authenticate(tokens[2])
        assert statements == []
        authenticator.authenticate(tokens[1])
        assert len(statements) == 1


def test_memory_alone_answers_only_what_it_knows(engine: Engine, clock: SetClock) -> None:
    row, token = issue(engine)
    authenticator = Authenticator(engine, clock)
    assert authenticator.authenticate_from_memory(token) is None
    authenticator.authenticate(token)
    with counted(engine) as statements:
        assert authenticator.authenticate_from_memory(token) == Principal(row.tenant_id, row.id, ADMIN)
        clock.pass_time(2)
        assert authenticator.authenticate_from_memory(token) is None
    assert statements == []


def test_one_caller_renews_a_busy_key_while_the_others_go_on(engine: Engine, clock: SetClock) -> None:
    row, token = issue(engine)
    authenticator = Authenticator(engine, clock)
    authenticator.authenticate(token)
    clock.pass_time(1)
    assert authenticator.authenticate_from_memory(token) is None
    principal = Principal(row.tenant_id, row.id, ADMIN)
    assert authenticator.authenticate_from_memory(token) == principal
    with counted(engine) as statements:
        authenticator.authenticate(token)
    assert len(statements) == 1
    clock.pass_time(0.9)
    assert authenticator.authenticate_from_memory(token) == principal
    clock.pass_time(0.2)
    assert authenticator.authenticate_from_memory(token) is None
    # Nobody renewed it: it is not believed for longer than that.
    clock.pass_time(1)
    assert authenticator.authenticate_from_memory(token) is None


def test_use_is_written_by_flush_alone_and_once_a_minute(engine: Engine, clock: SetClock) -> None:
    row, token = issue(engine)
    authenticator = Authenticator(engine, clock)

    def flushed() -> int:
        authenticator.authenticate(token)
        with engine.begin() as conn:
            return authenticator.flush_last_used(conn)

    with engine.begin() as conn:
        assert authenticator.flush_last_used(conn) == 0
    first_use = clock.now()
    assert flushed() == 1
    clock.pass_time(59)
    assert flushed() == 0
    with engine.connect() as conn:
        found = store.find_key(conn, row.id)
    assert found is not None
    assert found.last_used_at == first_use
    clock.pass_time(1)
    assert flushed() == 1


def test_a_refused_call_is_not_a_use(engine: Engine) -> None:
    row, _ = issue(engine)
    authenticator = Authenticator(engine)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(make_key(row.id, os.urandom(32))[0].reveal())
    with engine.begin() as conn:
        assert authenticator.flush_last_used(conn) == 0


def test_times_of_use_survive_a_failed_write(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = issue(engine)
    authenticator = Authenticator(engine)
    authenticator.authenticate(token)

    def fail(*_: Any, **__: Any) -> int:
        raise ConnectionError

    with engine.begin() as conn:
        with monkeypatch.context() as patch:
            patch.setattr(store, "touch_keys", fail)
            with pytest.raises(ConnectionError):
                authenticator.flush_last_used(conn)
        assert authenticator.flush_last_used(conn) == 1
