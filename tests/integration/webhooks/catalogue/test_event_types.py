"""Event types and their versions: who may see them, and what happens when many change them at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.ids import new_uuid
from hub.webhooks.catalogue import importing, store
from tests.integration.webhooks.catalogue.conftest import Shelf

ONCE = {"strategy": "schedule", "delays": []}


def numbers(engine: Engine) -> list[int]:
    with engine.connect() as conn:
        return list(conn.scalars(text("SELECT version FROM hub.event_type_version ORDER BY version")))


def test_versions_published_at_once_are_numbered_without_gaps(shelf: Shelf, engine: Engine) -> None:
    shelf.create(schema={"title": "0"})
    barrier = Barrier(8)

    def publish(n: int) -> int:
        barrier.wait()
        version: int = shelf.publish({"title": f"{n}!"}).version
        return version

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(publish, range(8)))
    assert sorted(made) == list(range(2, 10))
    assert numbers(engine) == list(range(1, 10))
    with engine.connect() as conn:
        assert store.get_event_type(conn, shelf.tenant_id, "invoice.paid").current_version == 9


def test_the_same_version_published_at_once_is_published_once(shelf: Shelf, engine: Engine) -> None:
    shelf.create(schema=True)
    barrier = Barrier(6)

    def publish(_: int) -> bool:
        barrier.wait()
        try:
            shelf.publish({"type": "object"})
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(publish, range(6))) == 1
    assert numbers(engine) == [1, 2]


def test_one_name_made_at_once_is_made_once(shelf: Shelf, engine: Engine) -> None:
    barrier = Barrier(6)

    def create(_: int) -> str:
        barrier.wait()
        try:
            shelf.create(schema=True)
        except Conflict as error:
            return error.detail
        return "made"

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(create, range(6)))
    assert sorted(said) == ["The event type invoice.paid exists already."] * 5 + ["made"]
    assert numbers(engine) == [1]


def test_imports_of_one_document_at_once_do_it_once(shelf: Shelf, engine: Engine) -> None:
    document = {
        "openapi": "3.1.0",
        "webhooks": {
            f"a.b{n}": {"post": {"requestBody": {"content": {"application/json": {"schema": {"const": n}}}}}}
            for n in range(5)
        },
    }
    barrier = Barrier(4)

    def run(_: int) -> list[str]:
        prepared = importing.prepare(document)
        barrier.wait()
        with engine.begin() as conn:
            return [one.result for one in importing.apply(conn, shelf.caller, prepared, validation="off")]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4)))
    assert sorted(results) == [["created"] * 5] + [["unchanged"] * 5] * 3
    assert numbers(engine) == [1] * 5


def test_a_version_cannot_be_written_twice(shelf: Shelf, engine: Engine) -> None:
    row = shelf.create(schema=True)
    values = {
        "event_type_id": row.id, "tenant_id": shelf.tenant_id, "version": 1, "id": new_uuid(), "schema": False,
        "example": None, "breaking_changes": [],
    }  # fmt: skip
    with pytest.raises(IntegrityError), engine.begin() as conn:
        store.insert_version(conn, values)


def test_another_tenant_sees_nothing_and_may_use_the_same_name(
    shelf: Shelf, other: Shelf, engine: Engine
) -> None:
    mine = shelf.create(schema=True, labels=["x"])
    with pytest.raises(NotFound):
        other.change(deprecated=True)
    with pytest.raises(NotFound):
        other.publish({})
    with pytest.raises(NotFound):
        other.archive()
    with engine.connect() as conn:
        assert store.find_event_type(conn, other.tenant_id, "invoice.paid") is None
        assert (
            list(
                store.list_event_types(conn, other.tenant_id, labels=[], archived=False, after=None, limit=9)
            )
            == []
        )
        assert list(store.list_versions(conn, other.tenant_id, mine.id, after=None, limit=9)) == []
        with pytest.raises(NotFound):
            store.get_version(conn, other.tenant_id, mine.id, 1)
    theirs = other.create()
    assert theirs.id != mine.id
    shelf.choose(unknown_event_types="enforce", retry_policy=ONCE)
    with engine.connect() as conn:
        both = [shelf.tenant_id, other.tenant_id]
        assert store.load_unknown_policies(conn, both) == {shelf.tenant_id: "enforce"}
        assert list(store.load_retry_policies(conn, both)) == [(shelf.tenant_id, None, ONCE)]
        assert store.find_settings(conn, other.tenant_id) is None


def test_every_change_is_noted_for_those_who_keep_the_catalogue(shelf: Shelf, engine: Engine) -> None:
    def noted() -> int:
        with engine.connect() as conn:
            found: int = conn.execute(text("SELECT config_version FROM hub.tenant")).scalar_one()
        return found

    changes: list[Callable[[], object]] = [
        lambda: shelf.create(schema=True),
        lambda: shelf.change(validation="warn"),
        lambda: shelf.publish({}),
        shelf.archive,
        lambda: shelf.change(archived=False),
        lambda: shelf.choose(unknown_event_types="warn"),
        lambda: shelf.choose(retry_policy=ONCE),
        lambda: shelf.change(retry_policy=ONCE),
    ]
    for change in changes:
        before = noted()
        change()
        assert noted() > before
    before = noted()
    with pytest.raises(Conflict):
        shelf.create()
    assert noted() == before


def test_validation_needs_a_schema(shelf: Shelf) -> None:
    with pytest.raises(Invalid, match="needs a schema"):
        shelf.create(validation="enforce")
    shelf.create()
    with pytest.raises(Invalid, match="needs a schema"):
        shelf.change(validation="warn")
    shelf.publish(True)
    assert shelf.change(validation="warn").validation == "warn"


def test_null_and_false_are_kept_apart_from_nothing(shelf: Shelf, engine: Engine) -> None:
    shelf.create(schema=False)
    version = shelf.publish({"default": None}, example={"a": None})
    assert (version.schema, version.example) == ({"default": None}, {"a": None})
    with engine.connect() as conn:
        first = store.get_version(conn, shelf.tenant_id, version.event_type_id, 1)
    assert (first.schema, first.example) == (False, None)


def test_the_lists_are_served_by_indexes(shelf: Shelf, engine: Engine) -> None:
    row = shelf.create(schema=True)
    queries = {
        "SELECT * FROM hub.event_type WHERE tenant_id = :t AND name = 'a'": "event_type_tenant_id_name_key",
        "SELECT * FROM hub.event_type WHERE tenant_id = :t ORDER BY id DESC LIMIT 5": "event_type_tenant_id_id_idx",
        "SELECT * FROM hub.catalogue_setting WHERE tenant_id = :t": "catalogue_setting_pkey",
        "SELECT * FROM hub.event_type_version WHERE event_type_id = :e AND version = 1": "event_type_version_pkey",
    }
    with engine.begin() as conn:
        # Enough of them that the plan does not hang on how wide a row is thought to be.
        conn.execute(
            text(
                "INSERT INTO hub.event_type (id, tenant_id, name)"
                " SELECT gen_random_uuid(), CASE WHEN n % 40 = 0 THEN :t ELSE CAST(md5((n % 40)::text) AS uuid) END,"
                " 'n' || n FROM generate_series(1, 4000) n"
            ),
            {"t": shelf.tenant_id},
        )
        conn.execute(text("ANALYZE hub.event_type"))
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        for query, index in queries.items():
            plan = conn.execute(text(f"EXPLAIN {query}"), {"t": shelf.tenant_id, "e": row.id}).scalars()
            assert index in "\n".join(plan)
