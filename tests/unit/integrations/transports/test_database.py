from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from hub.core.errors import Invalid
from hub.integrations import extras
from hub.integrations.transports.database import DatabaseTransport, parameters, statement
from hub.integrations.transports.database.address import parse as parse_address
from hub.integrations.transports.database.mysql import _driver
from hub.integrations.transports.database.parameters import Json
from hub.integrations.transports.database.postgresql_types import reader, write
from hub.integrations.transports.database.rows import Rows, json_value
from hub.integrations.transports.database.scram import Scram, ScramFault, prepare
from hub.integrations.transports.database.sqlstates import classify
from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.interface import Connection
from hub.net.outcome import ErrorClass

PG: statement.Dialect = "postgresql"
MY: statement.Dialect = "mysql"


@pytest.mark.parametrize(
    ("dialect", "sql", "text", "slots"),
    [
        (PG, "SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b", "a")),
        (MY, "SELECT :a, :b, :a", "SELECT ?, ?, ?", ("a", "b", "a")),
        (PG, "SELECT ':a', \":b\", $$ :c $$, $t$ :d $$ $t$, E'\\':e' -- :f", None, ()),
        (PG, "SELECT a::int, b[1:2], '{}'::json->':x'", None, ()),
        (PG, "SELECT :a::int", "SELECT $1::int", ("a",)),
        (PG, "SELECT /* :a /* ; */ :b */ :c", "SELECT   $1", ("c",)),
        (MY, "SELECT /* :a /* ; */ :c", "SELECT   ?", ("c",)),
        (MY, 'SELECT \':a\\\':b\', ":c""", `:d` # :e\n, @x := 1 -- :f', None, ()),
        (PG, "-- first\nselect 1 ;  -- ;\n", None, ()),
        (PG, "(SELECT 1) UNION (SELECT :a)", "(SELECT 1) UNION (SELECT $1)", ("a",)),
        (PG, "SELECT 5 % 2, data ? 'key' FROM t", None, ()),
        (PG, "SELECT 'it''s; fine'", None, ()),
    ],
)
def test_parameters_are_found_where_they_are_and_nowhere_else(
    dialect: statement.Dialect, sql: str, text: str | None, slots: tuple[str, ...]
) -> None:
    found, faults = statement.parse(sql, dialect, write=False)
    assert faults == []
    assert found is not None
    assert found.slots == slots
    if text is not None:
        assert found.text == text


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 1; :a", "one statement"),
        ("SELECT 'a", "not closed"),
        ('SELECT "a', "not closed"),
        ("SELECT $$a", "not closed"),
        ("SELECT /* a", "does not end"),
        ("SELECT $1", "`:name`"),
        ("SELECT %s", "`:name`"),
        ("SELECT %(a)s", "`:name`"),
        ("COPY t TO STDOUT", "COPY"),
        ("\\copy t from 'f'", "commands of a client"),
        ("SET ROLE admin", "SET"),
        ("COMMIT", "transaction of its own"),
        ("BEGIN", "transaction of its own"),
        ("DROP TABLE t", "DROP"),
        ("INSERT INTO t VALUES (1)", "mode: write"),
        ("CALL p()", "mode: write"),
        ("-- nothing", "no statement"),
        ("   ", "no statement"),
        ("SELECT 1\0", "NUL"),
        ("SELECT '\ud800'", "Unicode"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", "files"),
    ],
)
def test_what_may_not_run_is_refused_with_a_reason(sql: str, fault: str) -> None:
    found, faults = statement.parse(sql, PG, write=False)
    assert found is None
    assert any(fault in text for text in faults), faults


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1 /*! INTO OUTFILE 'x' */", "SELECT /*M! 1 */", "SELECT ?", "LOAD DATA INFILE 'x' INTO TABLE t"],
)
def test_mysql_has_dangers_of_its_own(sql: str) -> None:
    found, _ = statement.parse(sql, MY, write=True)
    assert found is None


@pytest.mark.parametrize(
    "verb", ["INSERT INTO t VALUES (:a)", "UPDATE t SET a = :a", "DELETE FROM t", "CALL p(:a)"]
)
def test_a_write_may_change_data(verb: str) -> None:
    assert statement.parse(verb, PG, write=True)[1] == []


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("integer", 1.5), ("integer", True), ("integer", "1"), ("number", "1"), ("decimal", 1.5), ("decimal", "1,5"),
        ("decimal", "NaN"), ("boolean", 1), ("date", "2026-13-01"), ("date", 5), ("timestamp", "noon"),
        ("bytes", "AP8"), ("bytes", "ä==="), ("uuid", "x"), ("text", 5), ("any", {"a": 1}), ("any", [{"a": 1}]),
        ("any", ["\0"]), ("any", [[[[[[[1]]]]]]]),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(type_: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"must|is|holds"):
        parameters.convert(value, type_)


def test_scram_agrees_with_the_example_of_rfc_7677() -> None:
    # Its user name stands in the first message, where PostgreSQL wants none; the proof is over what was said.
    exchange = Scram("pencil", "rOprNGfwEbeRWgbNEkqO")
    exchange._bare = "n=user,r=rOprNGfwEbeRWgbNEkqO"
    first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert exchange.answer(first) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    exchange.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    with pytest.raises(ScramFault):
        exchange.check(b"v=" + base64.b64encode(bytes(32)))


@pytest.mark.parametrize(
    "first",
    [b"", b"r=other,s=AAAA,i=1", b"r=nonce,s=AAAA,i=1", b"r=nonceX,s=AAAA,i=0", b"r=nonceX,s=AAAA,i=99999999",
     b"r=nonceX,s=!,i=1", b"r=nonceX,i=1", b"r=nonceX,s=AAAA,i=x", b"\xff"],
)  # fmt: skip
def test_scram_believes_no_server_that_is_out_of_line(first: bytes) -> None:
    with pytest.raises(ScramFault):
        Scram("secret", "nonce").answer(first)
    with pytest.raises(ScramFault):
        Scram("secret", "nonce").check(b"v=")


@pytest.mark.parametrize(
    ("given", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0627\u0031", "\u06271"),
        ("pw\u0007é", "pw\u0007é"),
    ],
)
def test_passwords_are_prepared_as_rfc_4013_says_or_left_alone(given: str, prepared: str) -> None:
    assert prepare(given) == prepared.encode()


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (16, "f", False), (23, "-7", -7), (701, "Infinity", "Infinity"), (1700, "1.50", "1.50"),
        (1114, "2026-01-31 12:00:00", "2026-01-31T12:00:00"), (1184, "2026-01-31 12:00:00+05:30", "2026-01-31T12:00:00+05:30"),
        (1007, "{{1,2},{3,NULL}}", [[1, 2], [3, None]]), (1009, '{"",NULL,"NULL","a,}"}', ["", None, "NULL", "a,}"]),
        (3802, "[1]", Json("[1]")), (3807, '{"[1]",NULL}', [Json("[1]"), None]), (114, "NaN", "NaN"), (3802, "not json", "not json"), (99999, "text", "text"),
    ],
)  # fmt: skip
def test_texts_of_postgresql_become_json(type_: int, text: str, value: Any) -> None:
    assert reader(type_)(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, b"true"), (1, b"1"), (1.5, b"1.5"), (b"\0", b"\\x00"), (None, None), ([1, None, 'a"b\\'], b'{"1",NULL,"a\\"b\\\\"}'), ([], b"{}")],
)  # fmt: skip
def test_values_become_texts_of_postgresql(value: Any, text: bytes | None) -> None:
    assert write(value) == text


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("28P01", ErrorClass.UNAUTHORIZED), ("40001", ErrorClass.PROVIDER_BUSY), ("40P01", ErrorClass.PROVIDER_BUSY),
        ("40003", ErrorClass.PROVIDER_ERROR), ("53300", ErrorClass.PROVIDER_BUSY), ("57P03", ErrorClass.PROVIDER_BUSY),
        ("57P05", ErrorClass.PROVIDER_BUSY), ("57014", ErrorClass.TIMEOUT), ("23505", ErrorClass.PROVIDER_ERROR), ("", ErrorClass.PROVIDER_ERROR),
    ],
)  # fmt: skip
def test_codes_have_their_class(code: str, error_class: ErrorClass) -> None:
    assert classify(code) is error_class


def test_the_answer_keeps_to_its_caps_with_its_last_byte() -> None:
    rows = Rows(10, 98)
    rows.name(["a", "a", "a_2"])
    rows.add([1, 2, 3])
    body = rows.body()
    assert (
        body
        == b'{"columns":["a","a_2","a_2_2"],"row_count":1,"truncated":false,"rows":[{"a":1,"a_2":2,"a_2_2":3}]}'
    )
    assert len(body) == 98
    rows = Rows(10, 97)
    rows.name(["a", "a", "a_2"])
    rows.add([1, 2, 3])
    with pytest.raises(Verdict):
        rows.body()


class Name(str):
    """The name of a column; counts how often one is looked up."""

    __slots__ = ()
    lookups = 0

    def __hash__(self) -> int:
        Name.lookups += 1
        return super().__hash__()

    def __format__(self, spec: str) -> str:
        Name.lookups += 1  # for the name that is made of it
        return super().__format__(spec)


@pytest.mark.parametrize(
    "names",
    [
        ["a"] * 3000,
        [f"a_{number}" for number in range(2, 1500)] + ["a"] * 1500,
        ["a", "a_2", "a"] * 1000,
        ["a" + "_2" * (number % 60) for number in range(3000)],
    ],
    ids=["equal", "taken before", "in turns", "nested"],
)
def test_names_of_columns_take_a_time_that_grows_with_their_number(names: list[str]) -> None:
    rows = Rows(1, 1_000_000)
    Name.lookups = 0
    rows.name([Name(name) for name in names])
    assert Name.lookups < 8 * len(names)
    rows.add(range(len(names)))
    assert len(json.loads(rows.body())["rows"][0]) == len(names)


@pytest.mark.parametrize(
    "text",
    ["1e400", "0.12345678901234567890123", "9" * 5000, '{"a": [1.10, "\\ud800", "ü"]}', "[" * 90 + "]" * 90],
    ids=["beyond floats", "many digits", "beyond whole numbers", "nested", "deep"],
)
def test_json_of_a_column_is_in_the_answer_as_it_is(text: str) -> None:
    rows = Rows(10, 100_000)
    rows.name(["a", "b"])
    rows.add([json_value(text), [[json_value(text)], None, "x"]])
    assert rows.body().endswith(f'"rows":[{{"a":{text},"b":[[{text}],null,"x"]}}]}}'.encode())


@pytest.mark.parametrize(
    "text",
    ["NaN", "[-Infinity]", "", "{", "1,2", '1}],"x":[{', "[" * 100_000, "\ufeff1"],
    ids=["NaN", "infinity", "empty", "open", "two", "more", "too deep", "a mark"],
)
def test_what_is_no_json_is_in_the_answer_as_a_text(text: str) -> None:
    rows = Rows(10, 1_000_000)
    rows.name(["a"])
    rows.add([json_value(text)])
    assert json.loads(rows.body())["rows"] == [{"a": text}]


@pytest.mark.parametrize(
    "value", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+02:00"], ids=["above", "below"]
)
def test_a_time_that_is_no_date_in_utc_is_refused_for_mysql(value: str) -> None:
    transport = DatabaseTransport()
    form = transport.operation_form(sql="SELECT :t, :d", parameters={"t": {"type": "timestamp"}})
    given = {"parameters": {"t": value, "d": value}}

    def prepared(url: str) -> Any:
        connection = Connection(
            id=UUID(int=1), tenant_id=UUID(int=2), base_url=url, headers={}, settings=transport.settings_form(),
            operations={"do": form}, follow_redirects=0, tls=None, pool_key="k",
        )  # fmt: skip
        return transport.prepare(connection, "do", given)

    with pytest.raises(Invalid) as caught:
        prepared("mysql://h/db")
    assert [(fault.path, fault.message) for fault in caught.value.fields] == [
        ("input.parameters.t", "is outside of the years 1 to 9999 in UTC")
    ]
    assert write(prepared("postgresql://h/db").wire.values["t"]) == value.encode()


def mysql_packet(number: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "little") + bytes([number % 256]) + content


@pytest.mark.parametrize(("count", "refused"), [(4096, False), (4097, True)])
def test_an_answer_of_mysql_has_no_more_columns_than_a_table_may_have(count: int, refused: bool) -> None:
    # MySQL internals, Column Definition: six texts, then what kind of value it is.
    column = b"\3def\0\0\0\1a\0\x0c\x2d\0\0\0\0\0\xfd\0\0\0\0\0"
    end = b"\xfe\0\0\2\0"
    packets = [b"\xfc" + count.to_bytes(2, "little"), *[column] * count, end, end]
    link: Any = _driver()(defer_connect=True, charset="utf8mb4", conv={})
    link._rfile = io.BytesIO(b"".join(mysql_packet(*numbered) for numbered in enumerate(packets)))
    link._sock = SimpleNamespace(close=lambda: None)
    link._next_seq_id, link._current_timeout = 0, link._read_timeout
    if refused:
        with pytest.raises(Verdict, match="4096 columns"):
            link._read_query_result(unbuffered=True)
    else:
        link._read_query_result(unbuffered=True)
        assert len(link._result.description) == count
        link._result.unbuffered_active = False  # or it would read the rows when it is collected


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("sqlite:///x.db", "SQLite"), ("postgresql://h:5432", "name of one database"), ("postgresql://h/a/b", "name of one"),
        ("mysql://h/%00", "cannot exist"), ("postgresql://h/db", None), ("mysql://h/db", None), ("https://h/", None),
    ],
)  # fmt: skip
def test_an_address_names_one_database(url: str, fault: str | None) -> None:
    transport = DatabaseTransport()
    faults = transport.settings_faults(transport.settings_form(), url)
    assert [found.path for found in faults] == (["base_url"] if fault else [])
    assert all(fault in found.message for found in faults if fault)


def test_the_parts_of_an_address() -> None:
    found = parse_address("postgresql://[2001:db8::1]/my%20db", {"postgresql": 5432})
    assert (found.host, found.port, found.database) == ("2001:db8::1", 5432, "my db")


def test_without_its_package_mysql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    [fault] = DatabaseTransport().settings_faults(None, "mysql://h/db")
    assert "integration-hub[mysql]" in fault.message


def test_every_fault_of_an_operation_is_named_with_its_path() -> None:
    transport = DatabaseTransport()
    form = transport.operation_form(
        sql="SELECT :a", parameters={"a": {"type": "integer", "default": "x"}, "b": {}}
    )
    assert [fault.path for fault in transport.operation_faults(form, None, "operations.do")] == [
        "operations.do.parameters.a.default",
        "operations.do.parameters.b",
    ]
    broken = transport.operation_form(sql="SELECT 1; SELECT 2")
    assert [fault.path for fault in transport.operation_faults(broken, None, "operations.do")] == [
        "operations.do.sql"
    ]
    only_mysql = transport.operation_form(sql="SELECT `a'b`")
    assert transport.operation_faults(only_mysql, None, "operations.do") == []
