"""The SQL door: what another service may call inside its own transaction."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hub.access.issuing import open_tenant
from hub.core.ids import Kind, format_id, new_uuid, parse_id, time_of
from hub.webhooks.events import make_event
from hub.webhooks.publishing import Publication, write

MAX_BYTES = 1_048_576


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as made:
        yield made


@pytest.fixture
def tenant(conn: Connection) -> str:
    return format_id(Kind.TENANT, open_tenant(conn, "acme").id)


def publish(
    conn: Connection,
    tenant: str | None,
    type_: str | None = "invoice.paid",
    data: str | None = "{}",
    id_: str | None = None,
) -> str:
    return str(
        conn.scalar(
            text("SELECT hub.publish_event(:tenant, :type, CAST(:data AS json), :id)"),
            {"tenant": tenant, "type": type_, "data": data, "id": id_},
        )
    )


def count(conn: Connection, table: str = "message") -> int:
    return int(conn.scalar(text(f"SELECT count(*) FROM hub.{table}")) or 0)


# -- ids ------------------------------------------------------------------------------------------------------------


def test_uuid7_carries_its_time_version_and_variant(conn: Connection) -> None:
    before = time.time_ns() // 1_000_000
    made = [conn.scalar(text("SELECT hub.uuid7()")) for _ in range(200)]
    after = time.time_ns() // 1_000_000
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    stamps = [one.int >> 80 for one in made]
    assert stamps == sorted(stamps)
    assert before - 1 <= stamps[0] <= stamps[-1] <= after + 1
    # All bits that are not time, version or variant are random: none is always the same.
    ones = zeros = 0
    for one in made:
        ones |= one.int
        zeros |= ~one.int
    free = ((1 << 12) - 1) << 64 | ((1 << 62) - 1)
    assert ones & free == free
    assert zeros & free == free


@pytest.mark.parametrize("prefix", ["ten", "msg"])
def test_public_ids_are_those_of_the_other_doors(conn: Connection, prefix: str) -> None:
    value = new_uuid()
    public = conn.scalar(text("SELECT hub.public_id(:p, :v)"), {"p": prefix, "v": value})
    assert public == format_id(Kind(prefix), value)
    assert conn.scalar(text("SELECT hub.parse_id(:p, :t)"), {"p": prefix, "t": public}) == value


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "ten_",
        "msg_" + "0" * 32,
        "ten_" + "0" * 31,
        "ten_" + "0" * 33,
        "ten_" + "g" * 32,
        " ten_" + "0" * 32,
        "ten_" + "0" * 32 + "\n",
        None,
    ],
)
def test_what_is_no_id_is_null(conn: Connection, wrong: str | None) -> None:
    assert conn.scalar(text("SELECT hub.parse_id('ten', :t)"), {"t": wrong}) is None


# -- publish_event --------------------------------------------------------------------------------------------------


def test_an_event_is_a_row_when_the_transaction_commits(engine: Engine, tenant: str) -> None:
    data = '{"z": 1, "a": 123456789012345678901234567890, "é": "\\u00e9 🐘",  "f": 1.10}'
    with engine.begin() as conn:
        public = publish(conn, tenant, "invoice.paid", data, "inv-1")
        with engine.connect() as other:
            assert count(other) == 0
    with engine.connect() as other:
        row = other.execute(text("SELECT * FROM hub.message")).one()
        waiting = other.execute(text("SELECT * FROM hub.outbox WHERE due_at <= now()")).one()
    assert public == format_id(Kind.MESSAGE, row.id)
    # Byte for byte: key order, long integers, spacing and escapes are the publisher's.
    assert (row.type, row.event_id, row.data, row.source) == ("invoice.paid", "inv-1", data, "sql")
    assert (waiting.message_id, waiting.tenant_id, waiting.size) == (
        row.id,
        row.tenant_id,
        len(data.encode()),
    )
    assert format_id(Kind.TENANT, row.tenant_id) == tenant
    assert abs(time_of(row.id).timestamp() - time.time()) < 60


def test_what_is_rolled_back_was_never_published(engine: Engine, tenant: str, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN hub_bell")
        with engine.connect() as conn:
            publish(conn, tenant, id_="inv-1")
            conn.rollback()
            assert (count(conn), count(conn, "idempotency_key")) == (0, 0)
            conn.rollback()
            # The id is free, and only the committed one rings.
            publish(conn, tenant, "other.type", id_="inv-1")
            conn.commit()
        rings = [(n.channel, n.payload) for n in listener.notifies(timeout=10, stop_after=1)]
        rings += [(n.channel, n.payload) for n in listener.notifies(timeout=0)]
    assert rings == [("hub_bell", "hub.deliveries.send")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tenant": None}, "there is no tenant NULL"),
        ({"tenant": "acme"}, "there is no tenant acme"),
        ({"tenant": "ten_" + "0" * 32}, "there is no tenant ten_"),
        ({"type_": None}, "type must be dotted words"),
        ({"type_": ""}, "type must be dotted words"),
        ({"type_": "invoice."}, "type must be dotted words"),
        ({"type_": ".paid"}, "type must be dotted words"),
        ({"type_": "invoice..paid"}, "type must be dotted words"),
        ({"type_": "invoice.*"}, "type must be dotted words"),
        ({"type_": "invoice paid"}, "type must be dotted words"),
        ({"type_": "rechnung.bezählt"}, "type must be dotted words"),
        ({"type_": 'x","data":{}'}, "type must be dotted words"),
        ({"type_": "invoice.paid\n"}, "type must be dotted words"),
        ({"type_": "a" * 129}, "type must be dotted words"),
        ({"data": None}, "data must not be NULL"),
        ({"data": json.dumps("x" * MAX_BYTES)}, f"data is {MAX_BYTES + 2} bytes"),
        ({"data": '{"a": 1, "a": 2}'}, "data holds a duplicate key"),
        ({"data": '{"a": {"b": 1, "c": 2, "b": 3}}'}, "data holds a duplicate key"),
        ({"data": '"\\u0000"'}, "unsupported Unicode escape"),
        ({"data": '"\\ud800"'}, "Unicode low surrogate|Unicode surrogate"),
        ({"data": "{"}, "invalid input syntax for type json"),
        ({"data": ""}, "invalid input syntax for type json"),
        ({"data": "NaN"}, "invalid input syntax for type json"),
        ({"data": "[" * 65 + "]" * 65}, "data is nested deeper than 64 levels"),
        ({"data": '[{"a":' * 5000 + "1" + "}]" * 5000}, "data is nested deeper than 64 levels"),
        ({"data": "[1, " + "1" * 4301 + "]"}, "data holds a number beyond the range of a double"),
        ({"data": "1e400"}, "data holds a number beyond the range of a double"),
        ({"data": "-" + "9" * 400 + ".5"}, "data holds a number beyond the range of a double"),
        ({"id_": ""}, "id must be 1 to 128"),
        ({"id_": "a.b"}, "id must be 1 to 128"),
        ({"id_": "a" * 129}, "id must be 1 to 128"),
        ({"id_": "é"}, "id must be 1 to 128"),
        ({"id_": "a\n"}, "id must be 1 to 128"),
    ],
)
def test_bad_events_are_refused_with_a_sentence_and_leave_nothing(
    conn: Connection, tenant: str, change: dict[str, Any], message: str
) -> None:
    given = {"tenant": tenant, "type_": "invoice.paid", "data": "{}", "id_": None, **change}
    with pytest.raises(DBAPIError, match=message):
        publish(conn, **given)
    assert (count(conn), count(conn, "idempotency_key")) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        "null",
        "0",
        '""',
        "[]",
        "[1, [2]]",
        '{"a": {"a": 1}}',
        json.dumps("x" * (MAX_BYTES - 2)),
        '[{"a":' * 32 + "1" + "}]" * 32,
        '[[], [{}], "' + "[" * 100 + r' \" {"]',
        "[" + "1" * 4300 + ", 1e308, 1e-400, -1.5E+2]",
        json.dumps("1" * 5000 + "e999"),
    ],
)
def test_any_other_json_is_accepted(conn: Connection, tenant: str, data: str) -> None:
    publish(conn, tenant, "a-b_c.D9", data, "A_z:9-" + "x" * 122)
    assert conn.scalar(text("SELECT data FROM hub.message")) == data


@pytest.mark.parametrize("first", ["sql", "http"])
def test_the_same_id_is_one_event_whichever_door_it_comes_through(
    conn: Connection, tenant: str, first: str
) -> None:
    data = '{"n":  123456789012345678901234567890, "é": "\\u00e9"}'

    def over_sql() -> str:
        return publish(conn, tenant, "invoice.paid", data, "inv-1")

    def over_http() -> str:
        event = make_event("invoice.paid", data, "inv-1")
        answer = write(conn, [Publication(parse_id(Kind.TENANT, tenant), [event], "http")])[0]
        assert isinstance(answer, list)
        return answer[0].id

    doors = (over_sql, over_http) if first == "sql" else (over_http, over_sql)
    assert len({door() for door in (*doors, *doors)}) == 1
    assert count(conn) == 1


@pytest.mark.parametrize(
    ("type_", "data"), [("invoice.voided", "{}"), ("invoice.paid", '{"a":1}'), ("invoice.paid", "{ }")]
)
def test_the_same_id_with_other_content_is_refused(
    conn: Connection, tenant: str, type_: str, data: str
) -> None:
    publish(conn, tenant, "invoice.paid", "{}", "inv-1")
    with pytest.raises(DBAPIError, match="inv-1 was used before with other content") as caught:
        publish(conn, tenant, type_, data, "inv-1")
    assert caught.value.orig is not None
    assert getattr(caught.value.orig, "sqlstate", None) == "23505"
    assert count(conn) == 1


def test_the_same_id_in_another_tenant_is_another_event(conn: Connection, tenant: str) -> None:
    other = format_id(Kind.TENANT, open_tenant(conn, "globex").id)
    assert publish(conn, tenant, id_="inv-1") != publish(conn, other, id_="inv-1")
    assert publish(conn, tenant) != publish(conn, tenant)
    assert count(conn) == 4


def test_services_that_publish_one_id_at_once_get_one_event(engine: Engine, tenant: str) -> None:
    start = threading.Barrier(4)

    def one(_: int) -> str:
        start.wait(10)
        with engine.begin() as conn:
            return publish(conn, tenant, id_="inv-1")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(4)))) == 1
    with engine.connect() as conn:
        assert count(conn) == 1


# -- execute_integration --------------------------------------------------------------------------------------------


@pytest.fixture
def integration(conn: Connection, tenant: str) -> str:
    made = new_uuid()
    conn.execute(
        text(
            "INSERT INTO hub.integration (id, tenant_id, name, base_url, operations)"
            " VALUES (:id, :tenant, 'crm', 'https://crm.example', '{\"get\": {\"path\": \"/\"}}')"
        ),
        {"id": made, "tenant": parse_id(Kind.TENANT, tenant)},
    )
    return format_id(Kind.INTEGRATION, made)


def execute(
    conn: Connection, tenant: str | None, integration: str | None, operation: str | None = "get",
    given: str | None = "{}", key: str | None = None,
) -> str:  # fmt: skip
    return str(
        conn.scalar(
            text("SELECT hub.execute_integration(:t, :i, :o, CAST(:g AS json), :k)"),
            {"t": tenant, "i": integration, "o": operation, "g": given, "k": key},
        )
    )


def test_an_execution_is_a_row_when_the_transaction_commits(
    engine: Engine, tenant: str, integration: str, database_url: str
) -> None:
    given = '{"path": {"id":  7}, "body": {"n": 123456789012345678901234567890}}'
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN hub_bell")
        with engine.connect() as conn:
            execute(conn, tenant, integration)
            conn.rollback()
            public = execute(conn, tenant, integration, "get", given)
            conn.commit()
        assert [n.payload for n in listener.notifies(timeout=10, stop_after=1)] == ["hub.executions.run"]
    with engine.connect() as conn:
        row = conn.execute(text("SELECT *, input::text AS given FROM hub.execution")).one()
    assert (format_id(Kind.EXECUTION, row.id), row.operation, row.given) == (public, "get", given)
    assert (row.source, row.state, format_id(Kind.INTEGRATION, row.integration_id)) == (
        "sql",
        "due",
        integration,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tenant": "ten_" + "0" * 32}, "there is no tenant"),
        ({"integration": None}, "there is no integration NULL"),
        ({"integration": "int_" + "0" * 32}, "there is no integration int_0"),
        ({"operation": None}, "no operation NULL"),
        ({"operation": "delete"}, "no operation delete"),
        ({"given": None}, "input must not be NULL"),
        ({"given": "[]"}, "input must be a JSON object"),
        ({"given": '{"a": 1, "a": 1}'}, "input holds a duplicate key"),
        ({"given": json.dumps({"a": "x" * MAX_BYTES})}, "input is .* bytes"),
    ],
)
def test_bad_executions_are_refused_and_leave_nothing(
    conn: Connection, tenant: str, integration: str, change: dict[str, Any], message: str
) -> None:
    given = {"tenant": tenant, "integration": integration, "key": "k", **change}
    with pytest.raises(DBAPIError, match=message):
        execute(conn, **given)
    assert (count(conn, "execution"), count(conn, "idempotency_key")) == (0, 0)


def test_an_integration_of_another_tenant_does_not_exist(
    conn: Connection, tenant: str, integration: str
) -> None:
    other = format_id(Kind.TENANT, open_tenant(conn, "globex").id)
    with pytest.raises(DBAPIError, match="there is no integration"):
        execute(conn, other, integration)


def test_an_inactive_integration_accepts_nothing_and_one_in_maintenance_does(
    conn: Connection, tenant: str, integration: str
) -> None:
    conn.execute(text("UPDATE hub.integration SET status = 'maintenance'"))
    execute(conn, tenant, integration)
    conn.execute(text("UPDATE hub.integration SET status = 'inactive'"))
    with pytest.raises(DBAPIError, match="is inactive; nothing is accepted"):
        execute(conn, tenant, integration)


@pytest.mark.parametrize("key", ["", "a b", "é", "a\n", "x" * 256])
def test_an_idempotency_key_has_the_form_that_every_door_takes(
    conn: Connection, tenant: str, integration: str, key: str
) -> None:
    with pytest.raises(DBAPIError, match="idempotency_key must be 1 to 255 visible ASCII characters"):
        execute(conn, tenant, integration, key=key)
    execute(conn, tenant, integration, key="!~" + "x" * 253)
    assert (count(conn, "execution"), count(conn, "idempotency_key")) == (1, 1)


def test_an_idempotency_key_makes_a_repeat_harmless(conn: Connection, tenant: str, integration: str) -> None:
    first = execute(conn, tenant, integration, key="k1")
    assert execute(conn, tenant, integration, key="k1") == first
    with pytest.raises(DBAPIError, match="k1 was used before"):
        execute(conn, tenant, integration, given='{"body": 1}', key="k1")
    assert execute(conn, tenant, integration, key="k2") != first
    assert count(conn, "execution") == 2


# -- rights ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(database_url: str, engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """The connection of another service's role, which has no right on anything of the hub."""
    role = f"service_{new_uuid().hex}"
    with engine.begin() as conn:
        conn.execute(text(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER"))
    with psycopg.connect(database_url) as made:
        made.execute(f"SET ROLE {role}")
        made.commit()
        yield made
        made.rollback()
    with engine.begin() as conn:
        conn.execute(text(f"DROP OWNED BY {role}"))
        conn.execute(text(f"DROP ROLE {role}"))


def role_of(service: psycopg.Connection[Any]) -> str:
    row = service.execute("SELECT current_user").fetchone()
    assert row is not None
    service.commit()
    return str(row[0])


def test_no_function_is_open_to_everybody(conn: Connection) -> None:
    open_ = conn.scalars(
        text(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'hub'::regnamespace"
            " AND has_function_privilege('public', oid, 'EXECUTE')"
        )
    ).all()
    assert open_ == []


def test_a_role_needs_execute_on_the_function_and_no_right_on_any_table(
    engine: Engine, tenant: str, service: psycopg.Connection[Any]
) -> None:
    call = "SELECT hub.publish_event(%s, 'invoice.paid', '{}', 'inv-1')"
    role = role_of(service)
    with engine.begin() as conn:
        conn.execute(text(f"GRANT USAGE ON SCHEMA hub TO {role}"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute(call, [tenant])
    service.rollback()
    with engine.begin() as conn:
        conn.execute(text(f"GRANT EXECUTE ON FUNCTION hub.publish_event TO {role}"))
    assert service.execute(call, [tenant]).fetchone()
    service.commit()
    for statement in (
        "SELECT * FROM hub.message",
        "SELECT hub.claim_key(NULL, 'event', 'x', '', NULL)",
        "SELECT hub.uuid7()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement)
        service.rollback()


@pytest.mark.parametrize("type_name", ["uuid", "bytea", "json", "int4", "text", "bool"])
def test_a_role_cannot_smuggle_its_own_types_into_a_function_that_runs_as_the_owner(
    engine: Engine, tenant: str, integration: str, service: psycopg.Connection[Any], type_name: str
) -> None:
    """pg_temp comes first in every search_path that does not name it; a domain there can run its maker's code."""
    role = role_of(service)
    with engine.begin() as conn:
        conn.execute(text(f"GRANT USAGE ON SCHEMA hub TO {role}"))
        conn.execute(text(f"GRANT EXECUTE ON FUNCTION hub.publish_event, hub.execute_integration TO {role}"))
    service.execute("CREATE TEMP TABLE who (name text)")
    service.execute("GRANT ALL ON who TO PUBLIC")
    schema = service.execute("SELECT pg_my_temp_schema()::regnamespace::text").fetchone()
    assert schema is not None
    service.execute(
        f"CREATE FUNCTION {schema[0]}.spy(value pg_catalog.{type_name}) RETURNS boolean LANGUAGE plpgsql AS"
        f" $$ BEGIN INSERT INTO {schema[0]}.who VALUES (current_user); RETURN true; END $$"
    )
    service.execute(f"GRANT EXECUTE ON FUNCTION {schema[0]}.spy TO PUBLIC")
    service.execute(
        f"CREATE DOMAIN {schema[0]}.{type_name} AS pg_catalog.{type_name} CHECK ({schema[0]}.spy(VALUE))"
    )
    service.execute(
        "SELECT hub.publish_event(%s::pg_catalog.text, 'a'::pg_catalog.text, '{}'::pg_catalog.json, 'x'::pg_catalog.text)",
        [tenant],
    )
    service.execute(
        "SELECT hub.execute_integration(%s::pg_catalog.text, %s::pg_catalog.text, 'get'::pg_catalog.text,"
        " '{}'::pg_catalog.json, 'k'::pg_catalog.text)",
        [tenant, integration],
    )
    assert [row[0] for row in service.execute("SELECT name FROM who") if row[0] != role] == []


def test_the_hash_of_an_event_is_the_same_in_sql_and_in_python(conn: Connection, tenant: str) -> None:
    publish(conn, tenant, "invoice.paid", '{"é": 1}', "inv-1")
    stored = conn.scalar(text("SELECT body_hash FROM hub.idempotency_key"))
    assert stored == hashlib.sha256('invoice.paid\0{"é": 1}'.encode()).digest()
    assert isinstance(conn.scalar(text("SELECT resource_id FROM hub.idempotency_key")), UUID)
