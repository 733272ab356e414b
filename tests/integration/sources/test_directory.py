"""The receiving side's view of the sources."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from hub.access.issuing import open_tenant
from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.core.errors import Unavailable
from hub.core.ids import new_uuid
from hub.core.settings import load_settings
from hub.db.engine import make_engine
from hub.sources import registry
from hub.sources.directory import STALE_SECONDS, Directory
from hub.sources.schemas import Rotation, SourceCreate, SourceUpdate
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from tests.support.servers import MASTER_KEY


@dataclass
class Time:
    """A clock that a test moves."""

    seconds: float = 0.0
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.started

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Place:
    engine: Engine
    vault: Vault
    caller: Principal
    statements: list[str] = field(default_factory=list)

    def create(self, **fields: Any) -> Any:
        body = SourceCreate(
            **{"name": "one", "verifier": {"profile": "github"}, "secrets": ["a-secret-of-it"]} | fields
        )
        with self.engine.begin() as conn:
            return registry.create(conn, self.caller, body, vault=self.vault).id


@pytest.fixture
def place(engine: Engine, database_url: str) -> Place:
    settings = load_settings({"HUB_DATABASE_URL": database_url, "HUB_MASTER_KEYS": MASTER_KEY})
    with engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
    caller = Principal(tenant.id, new_uuid(), frozenset({Scope.ADMIN}))
    made = Place(engine, Vault(KeyRing.from_settings(settings)), caller)
    event.listen(
        engine, "before_cursor_execute", lambda _c, _u, statement, *_: made.statements.append(statement)
    )
    return made


def test_it_is_asked_for_once_and_again_after_a_while(place: Place) -> None:
    key, clock = place.create(), Time()

    async def look() -> None:
        directory = Directory(place.engine, place.vault, clock)
        place.statements.clear()
        first, second = await asyncio.gather(directory.find(key), directory.find(key))
        assert first is not None
        assert first is second
        assert len(place.statements) == 3
        assert [secret.reveal() for secret in first.secrets_at(0)] == ["a-secret-of-it"]
        clock.seconds = 0.4
        assert await directory.find(key) is first
        assert len(place.statements) == 3
        # Soon it is looked at while the old view is still good enough.
        clock.seconds = 0.6
        assert await directory.find(key) is first
        await directory.stop()
        assert len(place.statements) == 4

    asyncio.run(look())


def test_what_is_older_than_a_second_is_not_used(place: Place) -> None:
    key, clock = place.create(), Time()

    async def look() -> None:
        directory = Directory(place.engine, place.vault, clock)
        first = await directory.find(key)
        with place.engine.begin() as conn:
            registry.change(conn, place.caller, key, SourceUpdate(status="paused"))
        clock.seconds += STALE_SECONDS
        second = await directory.find(key)
        assert first is not None
        assert second is not None
        assert (first.paused, second.paused) == (False, True)
        with place.engine.begin() as conn:
            registry.rotate_secret(
                conn, place.caller, key, Rotation(secret="another-one", overlap_seconds=60), vault=place.vault,
                now=clock.now(),
            )  # fmt: skip
        clock.seconds += STALE_SECONDS
        third = await directory.find(key)
        assert third is not None
        now = clock.now().timestamp()
        assert [secret.reveal() for secret in third.secrets_at(now)] == ["another-one", "a-secret-of-it"]
        assert [secret.reveal() for secret in third.secrets_at(now + 60)] == ["another-one"]
        with place.engine.begin() as conn:
            registry.remove(conn, place.caller, key, vault=place.vault)
        clock.seconds += STALE_SECONDS
        assert await directory.find(key) is None
        await directory.stop()

    asyncio.run(look())


def test_ids_that_do_not_exist_are_looked_up_together_and_remembered(place: Place) -> None:
    ids, clock = [new_uuid() for _ in range(50)], Time()

    async def look() -> None:
        directory = Directory(place.engine, place.vault, clock)
        place.statements.clear()
        for _ in range(2):
            assert set(await asyncio.gather(*(directory.find(one) for one in ids))) == {None}
        await directory.stop()

    asyncio.run(look())
    assert len(place.statements) == 1


def test_a_source_that_was_spoilt_by_hand_accepts_nothing_and_stops_no_other(place: Place) -> None:
    spoilt, fine = place.create(), place.create(name="two")
    with place.engine.begin() as conn:
        conn.execute(
            text('UPDATE hub.source SET verifier = \'{"profile": "gone"}\' WHERE id = :id'), {"id": spoilt}
        )

    async def look() -> None:
        directory = Directory(place.engine, place.vault, Time())
        found = await asyncio.gather(directory.find(spoilt), directory.find(fine))
        assert [one is not None and one.verifier is not None for one in found] == [False, True]
        await directory.stop()

    asyncio.run(look())


def test_a_database_that_is_away_is_told_and_asked_again(place: Place, database_url: str) -> None:
    key, clock = place.create(), Time()
    away = make_engine("postgresql://127.0.0.1:9/none")

    async def look() -> None:
        directory = Directory(away, place.vault, clock)
        with pytest.raises(Unavailable):
            await directory.find(key)
        directory._engine = place.engine
        assert await directory.find(key) is not None
        # A look in the background that fails is nobody's fault.
        directory._engine = away
        clock.seconds = 0.6
        assert await directory.find(key) is not None
        await directory.stop()

    asyncio.run(look())
