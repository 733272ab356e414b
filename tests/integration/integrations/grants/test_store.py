"""The fences of a grant's row: each of them holds by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.integrations.grants import store
from hub.integrations.grants.answer import Tokens
from hub.integrations.grants.authorization import keep
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.revocation import detach
from tests.integration.integrations.grants.world import World

AUTH = {
    "mode": "oauth2",
    "grant": "client_credentials",
    "token_url": "http://127.0.0.1:9/",
    "client_id": "me",
}


@pytest.fixture
def holder(world: World) -> Holder:
    return world.holder(AUTH)


@pytest.fixture
def conn(world: World, holder: Holder) -> Iterator[Connection]:
    with world.engine.begin() as opened:
        store.open_grant(opened, holder.tenant_id, holder.id)
        yield opened


def take(
    conn: Connection, holder: Holder, *, version: int = 0, fence: int = 0, seconds: float = 60
) -> int | None:
    return store.take_lease(conn, holder.id, version=version, fence=fence, owner="me", seconds=seconds)


def values() -> dict[str, Any]:
    return {
        "access": new_uuid(),
        "refresh": None,
        "basis": "b",
        "life": 60.0,
        "refresh_after": 40.0,
        "scopes": [],
        "metadata": json.dumps({}),
    }


def test_a_lease_is_taken_once(conn: Connection, holder: Holder) -> None:
    assert take(conn, holder) == 1
    assert take(conn, holder) is None
    assert take(conn, holder, fence=1) is None, "it lives"


def test_a_lease_that_has_lapsed_is_taken_with_the_next_fence(conn: Connection, holder: Holder) -> None:
    assert take(conn, holder, seconds=-1) == 1
    assert take(conn, holder) is None, "read before the other lease"
    assert take(conn, holder, version=1, fence=1) is None, "of another version"
    assert take(conn, holder, fence=1) == 2


def test_the_newest_lease_stores_and_an_older_one_does_so_only_before_it(
    conn: Connection, holder: Holder
) -> None:
    take(conn, holder, seconds=-1)
    take(conn, holder, fence=1)
    assert store.keep_tokens(conn, holder.id, version=0, fence=2, values=values()) is True
    assert store.keep_tokens(conn, holder.id, version=0, fence=1, values=values()) is False


def test_a_lapsed_lease_may_store_while_there_is_nothing_newer(conn: Connection, holder: Holder) -> None:
    take(conn, holder, seconds=-1)
    take(conn, holder, fence=1)
    assert store.keep_tokens(conn, holder.id, version=0, fence=1, values=values()) is True
    assert store.note_refusal(
        conn, holder.id, version=0, fence=2, message="invalid_grant", asked="x"
    ) is False, "somebody stored something newer"  # fmt: skip


def test_what_a_person_granted_comes_before_every_renewal(conn: Connection, holder: Holder) -> None:
    take(conn, holder)
    assert store.replace_tokens(conn, holder.id, values=values()) is True
    assert store.keep_tokens(conn, holder.id, version=0, fence=1, values=values()) is False
    assert store.note_refusal(conn, holder.id, version=0, fence=1, message="m", asked="x") is False


def test_nothing_is_opened_or_found_for_another_tenant(conn: Connection, holder: Holder) -> None:
    other = new_uuid()
    store.open_grant(conn, other, holder.id)
    assert store.find_grant(conn, other, holder.id) is None
    assert store.find_integration(conn, other, holder.id) is None
    store.forget_grant(conn, other, holder.id)
    row = store.find_grant(conn, holder.tenant_id, holder.id)
    assert row is not None
    assert row.version == 0


def test_workers_learn_that_a_person_connected_or_disconnected_it(world: World, holder: Holder) -> None:
    def seen() -> tuple[Any, int]:
        query = text(
            "SELECT i.granted_at, t.config_version FROM hub.integration i JOIN hub.tenant t ON t.id = i.tenant_id"
        )
        with world.engine.connect() as conn:
            granted_at, version = conn.execute(query).one()
        return granted_at, version

    before = seen()
    assert before[0] is None
    keep(world.grants(), holder, Tokens(Secret("token")), None)
    connected = seen()
    assert connected[0] is not None
    assert connected[1] > before[1]
    with world.engine.begin() as conn:
        detach(conn, world.vault, holder.tenant_id, holder.id)
    disconnected = seen()
    assert disconnected[0] > connected[0]
    assert disconnected[1] > connected[1]
