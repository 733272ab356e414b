"""Migrations: what they make is what the models say, and running them again or at once does no harm."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.engine import make_url

import hub.tables  # noqa: F401 - loads every table
from hub.db import migrate
from hub.db.engine import make_engine
from hub.db.partitions import PARTITIONED, existing
from hub.db.schema import SCHEMA, metadata
from tests.support.waiting import until

_PARTITION = re.compile(r"_p\d{8}$")


def dump(url: str) -> list[tuple[Any, ...]]:
    """Every column, index, constraint and function of the schema."""
    made = make_engine(url)
    with made.connect() as conn:
        rows = conn.execute(
            text(
                "SELECT table_name::text, column_name::text, data_type::text || coalesce(column_default, '') || is_nullable"
                " FROM information_schema.columns WHERE table_schema = 'hub'"
                " UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'hub'"
                " UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'hub'::regnamespace"
                " UNION ALL SELECT proname, '', pg_get_functiondef(oid) FROM pg_proc"
                " WHERE pronamespace = 'hub'::regnamespace"
                " ORDER BY 1, 2, 3"
            )
        ).all()
    made.dispose()
    return [tuple(row) for row in rows]


def test_the_migrated_database_is_what_the_models_say(database_url: str) -> None:
    def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return kind != "table" or not (name == "alembic_version" or _PARTITION.search(name or ""))

    def defaults_differ(
        _context: Any, _stored: Any, column: Any, stored: str | None, _d: Any, ours: str | None
    ) -> bool | None:
        # Alembic asks Postgres whether the two are equal, which `json` has no operator for.
        return (
            (stored or "").removesuffix("::json").strip("'") != ours.strip("'")
            if type(column.type) is JSON and ours
            else None
        )

    # The test's role is called like the schema, which would make it the default one, whose name Alembic leaves out.
    engine = create_engine(
        make_url(database_url).set(drivername="postgresql+psycopg"),
        connect_args={"options": "-c search_path=pg_catalog"},
    )
    try:
        with engine.connect() as conn:
            context = MigrationContext.configure(
                conn,
                opts={
                    "include_schemas": True,
                    "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
                    "include_object": ours,
                    "compare_type": True,
                    "compare_server_default": defaults_differ,
                    "version_table_schema": SCHEMA,
                },
            )
            difference = compare_metadata(context, metadata)
    finally:
        engine.dispose()
    assert difference == []


def test_check_constraints_are_those_of_the_models(engine: Engine) -> None:
    """Alembic does not compare them."""
    with engine.connect() as conn:
        stored = {
            tuple(row)
            for row in conn.execute(
                text(
                    "SELECT c.relname, conname FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid"
                    " WHERE connamespace = 'hub'::regnamespace AND contype = 'c' AND NOT c.relispartition"
                )
            )
        }
    modelled = {
        (table.name, str(constraint.name))
        for table in metadata.tables.values()
        for constraint in (*table.constraints, *(c for column in table.columns for c in column.constraints))
        if isinstance(constraint, CheckConstraint)
    }
    assert modelled == stored


def test_every_partitioned_table_is_partitioned_in_the_models_too(engine: Engine) -> None:
    with engine.connect() as conn:
        stored = set(
            conn.scalars(
                text(
                    "SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'hub'::regnamespace"
                )
            )
        )
    modelled = {t.name for t in metadata.tables.values() if t.dialect_options["postgresql"]["partition_by"]}
    assert stored == modelled == set(PARTITIONED)


def test_upgrading_twice_changes_nothing(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    before = dump(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert dump(empty_database_url) == before
    engine = make_engine(empty_database_url)
    with engine.connect() as conn:
        assert migrate.current(conn) == migrate.head()
        assert len(existing(conn, "message")) == 5
    engine.dispose()


def test_processes_that_start_together_migrate_one_after_the_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(migrate.upgrade, [empty_database_url] * 3)) == [None] * 3
    engine = make_engine(empty_database_url)
    with engine.connect() as conn:
        assert migrate.current(conn) == migrate.head()
    engine.dispose()


def test_a_database_without_the_hub_has_no_revision(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    with engine.connect() as conn:
        assert migrate.current(conn) is None
    engine.dispose()


def test_a_migration_outwaits_a_long_one_of_another_process(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the lock timeout of its connection: the process that comes second must neither fail nor go ahead."""
    url = make_url(empty_database_url).update_query_dict({"application_name": "first"})
    first = make_engine(url.render_as_string(hide_password=False))

    def impatient(*args: Any, **options: Any) -> Engine:
        engine = make_engine(*args, **options)
        event.listen(engine, "connect", lambda raw, _: raw.execute("SET SESSION lock_timeout = '50ms'"))
        event.listen(engine, "connect", lambda raw, _: raw.commit())
        return engine

    monkeypatch.setattr(migrate, "make_engine", impatient)
    with first.connect() as conn, ThreadPoolExecutor(1) as pool:
        conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migrate._LOCK})
        conn.commit()
        second = pool.submit(migrate.upgrade, empty_database_url)
        waited = text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND waitstart < clock_timestamp() - interval '200 ms'"
        )
        until(lambda: second.done() or conn.scalar(waited), what="the wait")
        assert not second.done()
        conn.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": migrate._LOCK})
        conn.commit()
        second.result(30)
    first.dispose()


def test_there_is_no_way_back(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    engine = make_engine(empty_database_url)
    made = migrate.config()
    with engine.connect() as conn:
        made.attributes["connection"] = conn
        with pytest.raises(RuntimeError, match="no way back"):
            command.downgrade(made, "base")
    engine.dispose()
