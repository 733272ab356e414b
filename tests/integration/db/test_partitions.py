"""Partitions by day: made ahead, found by the id's time, dropped when nothing lives in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from hub.core.ids import new_uuid
from hub.db import partitions
from hub.db.partitions import PARTITIONED, drop_old, ensure, existing
from tests.integration.db.rows import LEDGERS, insert_due

TENANT = new_uuid()
DAY = date(2031, 3, 1)  # 2031 is not a leap year: February ends the day before


def at(day: date, *, milliseconds: int = 0) -> UUID:
    """An id made so many milliseconds after the day began."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return new_uuid(int(start.timestamp()) * 1000 + milliseconds)


def partition_of(conn: Connection, table: str, row_id: UUID) -> str:
    return str(
        conn.scalar(
            text(
                f"SELECT c.relname FROM hub.{table} t JOIN pg_class c ON c.oid = t.tableoid WHERE t.id = :id"
            ),
            {"id": row_id},
        )
    )


def test_yesterday_today_and_the_days_ahead_are_made_once(engine: Engine) -> None:
    with engine.begin() as conn:
        made = ensure(conn, DAY, ahead=2)
        assert ensure(conn, DAY, ahead=2) == []
        assert {day for day in existing(conn, "message") if day.year == 2031} == {
            date(2031, 2, 28), date(2031, 3, 1), date(2031, 3, 2), date(2031, 3, 3),
        }  # fmt: skip
    assert len(made) == 4 * len(PARTITIONED)
    with engine.begin() as conn:
        assert ensure(conn, DAY + timedelta(days=1), ahead=2) == [
            f"{table}_p20310304" for table in PARTITIONED
        ]


def test_what_was_rolled_back_is_made_again(engine: Engine) -> None:
    with engine.connect() as conn:
        assert ensure(conn, DAY, ahead=0)
        conn.rollback()
        assert ensure(conn, DAY, ahead=0)


@pytest.mark.parametrize("table", sorted(LEDGERS))
def test_ids_at_the_border_of_a_day_fall_on_its_right_side(engine: Engine, table: str) -> None:
    last, first = at(DAY, milliseconds=-1), at(DAY)
    with engine.begin() as conn:
        ensure(conn, DAY, ahead=0)
        insert_due(conn, table, 2, tenant=TENANT, ids=[last, first])
        assert partition_of(conn, table, last) == f"{table}_p20310228"
        assert partition_of(conn, table, first) == f"{table}_p20310301"


def test_an_id_beyond_the_last_partition_is_refused_and_not_lost_in_silence(engine: Engine) -> None:
    with engine.begin() as conn:
        ensure(conn, DAY, ahead=0)
        last = at(DAY + timedelta(days=1), milliseconds=-1)
        insert_due(conn, "execution", 1, tenant=TENANT, ids=[last])
    with pytest.raises(IntegrityError, match="no partition"), engine.begin() as conn:
        insert_due(conn, "execution", 1, tenant=TENANT, ids=[at(DAY + timedelta(days=1))])


def test_ids_of_this_moment_always_have_a_partition(engine: Engine) -> None:
    """The migration alone made them: a fresh hub accepts work before any maintenance ran."""
    now = datetime.now(UTC).date()
    with engine.begin() as conn:
        for table in LEDGERS:
            insert_due(
                conn,
                table,
                3,
                tenant=TENANT,
                ids=[new_uuid(), at(now - timedelta(days=1)), at(now + timedelta(days=3))],
            )


def test_days_older_than_the_retention_go(engine: Engine) -> None:
    with engine.begin() as conn:
        ensure(conn, DAY, ahead=3)
        dropped = drop_old(conn, DAY + timedelta(days=2), keep_days=1)
        # Full days are kept: the day before "today" stays whole.
        assert {name for name in dropped if name.startswith("delivery")} >= {
            "delivery_p20310228",
            "delivery_p20310301",
        }
        assert "delivery_p20310302" not in dropped
        assert min(existing(conn, "delivery")) == date(2031, 3, 2)


@pytest.mark.parametrize("state", ["due", "leased", "held"])
@pytest.mark.parametrize("table", sorted(LEDGERS))
def test_a_day_with_unfinished_work_stays_until_the_work_is_done(
    engine: Engine, table: str, state: str
) -> None:
    row_id = at(DAY, milliseconds=5)
    with engine.begin() as conn:
        ensure(conn, DAY, ahead=0)
        insert_due(conn, table, 1, tenant=TENANT, ids=[row_id])
        conn.execute(text(f"UPDATE hub.{table} SET state = :state"), {"state": state})
        dropped = drop_old(conn, DAY + timedelta(days=400), keep_days=30)
        assert f"{table}_p20310228" in dropped
        assert f"{table}_p20310301" not in dropped
        assert conn.scalar(text(f"SELECT count(*) FROM hub.{table}")) == 1
        conn.execute(text(f"UPDATE hub.{table} SET state = 'done'"))
        assert f"{table}_p20310301" in drop_old(conn, DAY + timedelta(days=400), keep_days=30)
        assert conn.scalar(text(f"SELECT count(*) FROM hub.{table}")) == 0


def test_tables_that_only_look_like_partitions_are_left_alone(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE hub.message_p20200101 (id uuid)"))
        conn.execute(text("CREATE TABLE hub.message_default PARTITION OF hub.message DEFAULT"))
        drop_old(conn, DAY + timedelta(days=400), keep_days=1)
        assert conn.scalar(text("SELECT to_regclass('hub.message_p20200101') IS NOT NULL"))
        assert conn.scalar(text("SELECT to_regclass('hub.message_default') IS NOT NULL"))


def test_two_maintainers_do_not_collide(engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as other:
        ensure(one, DAY)
        other.execute(text("SET lock_timeout = '300ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            ensure(other, DAY)
        other.rollback()
        one.commit()
        assert ensure(other, DAY) == []


#: Where a delivery that lives is listed: its id or, before there is a delivery, its message's.
LISTS = {
    "in line": "INSERT INTO hub.delivery_waiting (endpoint_id, due_at, id) VALUES (:id, now(), :id)",
    "behind its key": "INSERT INTO hub.delivery_order (endpoint_id, ordering_key, id) VALUES (:id, 'k', :id)",
    "leased": "INSERT INTO hub.delivery_lease (id, until, ids) VALUES (:id, now(), ARRAY[CAST(:id AS uuid)])",
    "not fanned out": "INSERT INTO hub.outbox (message_id, tenant_id, size) VALUES (:id, :id, 2)",
}


@pytest.mark.parametrize("where", sorted(LISTS))
def test_a_day_stays_for_as_long_as_an_event_or_delivery_of_it_lives(engine: Engine, where: str) -> None:
    with engine.begin() as conn:
        ensure(conn, DAY, ahead=0)
        conn.execute(text(LISTS[where]), {"id": at(DAY, milliseconds=5)})
        dropped = drop_old(conn, DAY + timedelta(days=400), keep_days=30)
        assert {"delivery_p20310228", "message_p20310228", "attempt_p20310301"} <= set(dropped)
        assert {"delivery_p20310301", "message_p20310301"}.isdisjoint(dropped)
        for table in ("delivery_waiting", "delivery_order", "delivery_lease", "outbox"):
            conn.execute(text(f"DELETE FROM hub.{table}"))
        dropped = drop_old(conn, DAY + timedelta(days=400), keep_days=30)
        assert {"delivery_p20310301", "message_p20310301"} <= set(dropped)


def test_the_ledgers_that_partitions_knows_are_the_ledgers_there_are() -> None:
    assert {*LEDGERS, "delivery", "message"} == partitions._LEDGERS
    assert set(PARTITIONED) - partitions._LEDGERS == {"attempt", "inbound"}
