from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from hub.access import store
from hub.access.issuing import issue_key, open_tenant
from hub.access.keys import parse_key, secret_matches
from hub.access.scopes import Scope
from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.ids import new_uuid


@pytest.fixture
def tenant(engine: Engine) -> UUID:
    with engine.begin() as conn:
        return open_tenant(conn, "acme").id


def test_a_tenant_is_found_by_name_and_by_id(engine: Engine, tenant: UUID) -> None:
    with engine.connect() as conn:
        row = store.get_tenant_by_name(conn, "acme")
        assert row == store.get_tenant(conn, tenant)
        assert (row.id, row.config_version) == (tenant, 1)
        assert store.list_tenants(conn) == [row]


def test_a_name_is_taken_once(engine: Engine, tenant: UUID) -> None:
    with engine.begin() as conn, pytest.raises(Conflict, match="acme"):
        open_tenant(conn, "acme")


@pytest.mark.parametrize("name", ["", "Acme", "a b", "-a", "a-", "x" * 64, "a\n", "a/b", "é"])
def test_a_tenant_name_that_would_need_quoting_is_refused(engine: Engine, name: str) -> None:
    with engine.begin() as conn, pytest.raises(Invalid) as caught:
        open_tenant(conn, name)
    assert [fault.path for fault in caught.value.fields] == ["name"]


def test_unknown_tenants_are_not_found(engine: Engine) -> None:
    with engine.begin() as conn:
        with pytest.raises(NotFound):
            store.get_tenant(conn, new_uuid())
        with pytest.raises(NotFound):
            store.get_tenant_by_name(conn, "nobody")
        with pytest.raises(NotFound):
            store.bump_config_version(conn, new_uuid())


def test_every_bump_counts_also_when_they_come_at_once(engine: Engine, tenant: UUID) -> None:
    def bump(_: int) -> int:
        with engine.begin() as conn:
            return store.bump_config_version(conn, tenant)

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(bump, range(40)))
    assert sorted(versions) == list(range(2, 42))
    with engine.connect() as conn:
        assert store.config_versions(conn, [tenant, new_uuid()]) == {tenant: 41}


def test_an_issued_key_is_stored_as_a_hash(engine: Engine, tenant: UUID) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    with engine.begin() as conn:
        row, token = issue_key(
            conn, tenant, "billing", {Scope.EVENTS_WRITE, Scope.ADMIN}, expires_at=expires_at
        )
        assert store.find_key(conn, row.id) == row
        stored = conn.execute(text("SELECT api_key::text FROM hub.api_key")).scalar_one()
    parsed = parse_key(token.reveal())
    assert parsed.key_id == row.id
    assert secret_matches(parsed.secret, row.secret_hash)
    assert (row.scopes, row.expires_at) == (["admin", "events:write"], expires_at)
    assert parsed.secret.reveal() not in stored


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\x00"])
def test_a_key_name_that_cannot_be_shown_is_refused(engine: Engine, tenant: UUID, name: str) -> None:
    with engine.begin() as conn, pytest.raises(Invalid):
        issue_key(conn, tenant, name, {Scope.ADMIN})


def test_keys_are_listed_and_revoked_within_their_tenant(engine: Engine, tenant: UUID) -> None:
    with engine.begin() as conn:
        other = open_tenant(conn, "other").id
        row, _ = issue_key(conn, tenant, "billing", {Scope.ADMIN})
        assert store.list_keys(conn, other) == []
        with pytest.raises(NotFound):
            store.revoke_key(conn, other, row.id)
        assert store.list_keys(conn, tenant) == [row]
    with engine.begin() as conn:
        first = store.revoke_key(conn, tenant, row.id)
    with engine.begin() as conn:
        again = store.revoke_key(conn, tenant, row.id)
    assert first.revoked_at is not None
    assert first == again


def test_a_page_of_keys_holds_the_next_older_ones_of_its_tenant(engine: Engine, tenant: UUID) -> None:
    with engine.begin() as conn:
        issue_key(conn, open_tenant(conn, "other").id, "foreign", {Scope.ADMIN})
        keys = [issue_key(conn, tenant, f"k{number}", {Scope.ADMIN})[0] for number in range(5)]
        store.revoke_key(conn, tenant, keys[4].id)
        newest = store.page_keys(conn, tenant, after=None, limit=2)
        older = store.page_keys(conn, tenant, after=newest[-1].id, limit=10)
    assert [row.id for row in newest + older] == [row.id for row in reversed(keys)]
    assert len(newest) == 2


def test_use_is_written_at_most_once_a_minute(engine: Engine, tenant: UUID) -> None:
    minute, now = timedelta(minutes=1), datetime.now(UTC)
    with engine.begin() as conn:
        row, _ = issue_key(conn, tenant, "billing", {Scope.ADMIN})
        assert store.touch_keys(conn, {row.id: now, new_uuid(): now}, at_least=minute) == 1
        assert store.touch_keys(conn, {row.id: now + timedelta(seconds=59)}, at_least=minute) == 0
        assert store.touch_keys(conn, {row.id: now + minute}, at_least=minute) == 1
        found = store.find_key(conn, row.id)
    assert found is not None
    assert found.last_used_at == now + minute


def test_writing_use_does_not_wait_for_another_process(engine: Engine, tenant: UUID) -> None:
    now = datetime.now(UTC)
    with engine.begin() as conn:
        row, _ = issue_key(conn, tenant, "billing", {Scope.ADMIN})
    with engine.begin() as holder, engine.begin() as conn:
        holder.execute(text("SELECT 1 FROM hub.api_key FOR UPDATE"))
        assert store.touch_keys(conn, {row.id: now}, at_least=timedelta(minutes=1)) == 0
