from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Row, insert, select, text

from hub.core.errors import Conflict, NotFound
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.tenant_rows import change_row, find_row, newest_first, unique_name
from hub.sources.models import source

TENANT, OTHER = new_uuid(), new_uuid()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as made:
        yield made


def make(conn: Connection, tenant_id: uuid.UUID, name: str) -> Row[Any]:
    values = {
        "id": new_uuid(), "tenant_id": tenant_id, "name": name, "verifier": {}, "event_type": "a",
        "dedupe_window_seconds": 0, "response": {},
    }  # fmt: skip
    return conn.execute(insert(source).values(values).returning(source)).one()


def test_a_row_of_another_tenant_is_not_found(conn: Connection) -> None:
    row = make(conn, TENANT, "mine")
    assert find_row(conn, source, TENANT, row.id, Kind.SOURCE).name == "mine"
    with pytest.raises(NotFound, match=f"There is no source {format_id(Kind.SOURCE, row.id)}"):
        find_row(conn, source, OTHER, row.id, Kind.SOURCE)


def test_a_row_that_was_found_with_a_lock_is_passed_over_by_others(conn: Connection, engine: Engine) -> None:
    row_id = make(conn, TENANT, "locked").id
    conn.commit()
    skip = text("SELECT id FROM hub.source WHERE id = :id FOR UPDATE SKIP LOCKED")
    with engine.connect() as another:
        find_row(conn, source, TENANT, row_id, Kind.SOURCE)
        assert another.execute(skip, {"id": row_id}).all()
        another.rollback()
        find_row(conn, source, TENANT, row_id, Kind.SOURCE, lock=True)
        assert not another.execute(skip, {"id": row_id}).all()


def test_a_change_raises_the_version_of_this_row_alone(conn: Connection) -> None:
    one, two = make(conn, TENANT, "one"), make(conn, TENANT, "two")
    changed = change_row(conn, source, TENANT, one.id, {"description": "new"})
    assert (changed.version, changed.description) == (2, "new")
    assert find_row(conn, source, TENANT, two.id, Kind.SOURCE).version == 1


def test_pages_go_from_the_newest_to_the_oldest(conn: Connection) -> None:
    tenant_id = new_uuid()
    made = [make(conn, tenant_id, name).id for name in "abc"]
    query = select(source.c.id).where(source.c.tenant_id == tenant_id)
    first = conn.scalars(newest_first(query, source.c.id, after=None, limit=2)).all()
    rest = conn.scalars(newest_first(query, source.c.id, after=first[-1], limit=2)).all()
    assert [*first, *rest] == made[::-1]


def test_a_name_that_is_taken_is_the_callers_fault(conn: Connection) -> None:
    make(conn, TENANT, "twice")
    with pytest.raises(Conflict) as caught, unique_name(source, "twice"):
        make(conn, TENANT, "twice")
    assert caught.value.detail == "'twice' is the name of another source."
    assert [field.path for field in caught.value.fields] == ["name"]


def test_another_constraint_is_not_told_as_a_name(conn: Connection) -> None:
    row = make(conn, TENANT, "status")
    with pytest.raises(Exception, match="source_status_check"), unique_name(source, "status"):
        change_row(conn, source, TENANT, row.id, {"status": "broken"})
