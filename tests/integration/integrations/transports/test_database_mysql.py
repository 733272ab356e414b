from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from hub.core.errors import Invalid
from hub.integrations.transports.database import DatabaseTransport
from hub.integrations.transports.database.forms import DatabaseOperation, DatabaseSettings
from hub.net import AddressPolicy, ErrorClass
from hub.net.cancellation import Cancellation
from hub.net.identity import TlsIdentity
from tests.integration.integrations.transports.calls import Caller, basic
from tests.integration.integrations.transports.conformance import Conformance
from tests.integration.integrations.transports.mariadb import PASSWORD, Mariadb, running_mariadb
from tests.integration.integrations.transports.relay import Relay, relaying
from tests.support.waiting import until

_numbers = itertools.count(1)

Make = Callable[..., Caller]


@pytest.fixture(scope="module")
def server() -> Iterator[Mariadb]:
    with running_mariadb() as running:
        running.admin(f"CREATE USER app@'%' IDENTIFIED BY '{PASSWORD}'")
        yield running


@pytest.fixture
def database(server: Mariadb) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    server.admin(
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci; GRANT ALL ON {name}.* TO app@'%';"
        f"USE {name}; CREATE TABLE person (id int AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL, born date);"
        "INSERT INTO person SELECT seq, concat('p', seq), DATE '2000-01-01' + INTERVAL seq DAY FROM seq_1_to_50;"
    )
    yield name
    server.admin(f"DROP DATABASE {name}")


@pytest.fixture
def relay(server: Mariadb) -> Iterator[Relay]:
    with relaying(lambda: socket.create_connection(("127.0.0.1", server.port))) as running:
        yield running


@pytest.fixture
def make(server: Mariadb, relay: Relay, database: str) -> Make:
    def caller(sql: str = "SELECT 1 AS one", **more: Any) -> Caller:
        options: dict[str, Any] = {
            "password": PASSWORD,
            "settings": {},
            "host": "localhost",
            "tls": TlsIdentity(ca=server.authority.cert_pem.bytes()),
            "policy": AddressPolicy(allow=["127.0.0.0/8", "::1/128"], ports=[0]),
        }
        options |= {name: more.pop(name) for name in list(more) if name in options}
        return Caller(
            DatabaseTransport(),
            f"mysql://{options['host']}:{relay.port}/{database}",
            basic("app", options["password"]),
            {"do": {"sql": sql, **more}},
            options["settings"],
            tls=options["tls"],
            policy=options["policy"],
        )

    return caller


def test_logs_in_under_verified_tls_and_says_who_is_there(make: Make) -> None:
    caller = make(
        "SELECT substring_index(current_user(), '@', 1) AS who, @@time_zone AS zone, @@session.sql_mode <> '' AS m"
    )
    assert caller.result("do")["rows"] == [{"who": "app", "zone": "+00:00", "m": 1}]
    assert caller.probe().ok
    shown = make("SHOW SESSION STATUS LIKE 'Ssl_version'").result("do")["rows"]
    assert shown[0]["Value"].startswith("TLSv1.")


def test_a_wrong_password_is_unauthorized_and_is_shown_nowhere(make: Make) -> None:
    outcome = make(password="wrong-canary").call("do")
    assert outcome.error_class is ErrorClass.UNAUTHORIZED
    assert outcome.headers["sqlstate"] == "28000"
    assert "wrong-canary" not in f"{outcome}"


def test_a_certificate_for_another_host_or_of_a_stranger_is_refused(make: Make) -> None:
    for caller in (make(tls=None), make(host="127.0.0.1")):
        assert caller.call("do").error_class is ErrorClass.TLS
    assert make(tls=None, settings={"tls": "require"}).call("do").ok
    assert make(tls=None, settings={"tls": "disable"}).call("do").ok


def test_values_stay_values_whatever_they_look_like(make: Make) -> None:
    nasty = "'; DROP TABLE person; -- $1 :name \\ \" %s ? {} ✓"
    caller = make(
        "SELECT :text AS text, :text AS again, ':text' AS quoted, `name` FROM person WHERE name <> :text LIMIT 1"
    )
    assert caller.result("do", {"parameters": {"text": nasty}})["rows"] == [
        {"text": nasty, "again": nasty, "quoted": ":text", "name": "p1"}
    ]


def test_parameters_of_every_type_arrive_as_they_are(make: Make) -> None:
    caller = make(
        "SELECT :i + 1 AS i, :f AS f, :d AS d, hex(:b) AS b, :t AS t, :n AS n, :y AS y, json_value(:j, '$.a') AS j, "
        "(SELECT count(*) FROM person WHERE born > :day AND name LIKE :like) AS found, :u AS u",
        parameters={
            "i": {"type": "integer"},
            "d": {"type": "decimal"},
            "b": {"type": "bytes"},
            "t": {"type": "timestamp"},
            "j": {"type": "json"},
            "day": {"type": "date"},
            "u": {"type": "uuid"},
        },
    )
    given = {
        "i": 41, "f": 1.5, "d": "12.50", "b": "AP8=", "t": "2026-01-31T12:00:00+02:00", "n": None, "y": True,
        "j": {"a": "x"}, "day": "2000-02-01", "like": "p%", "u": "d9428888-122b-11e1-b85c-61cd3cbb3210",
    }  # fmt: skip
    assert caller.result("do", {"parameters": given})["rows"] == [
        {
            "i": 42, "f": 1.5, "d": "12.50", "b": "00FF", "t": "2026-01-31 10:00:00", "n": None, "y": 1, "j": "x",
            "found": 19, "u": "d9428888-122b-11e1-b85c-61cd3cbb3210",
        }
    ]  # fmt: skip


def test_every_type_becomes_json_by_rule(make: Make) -> None:
    caller = make(
        """SELECT 9007199254740993 AS big, 1.5e0 AS float_, 1234567890123456789.10 AS exact, 'ü' AS text,
           x'00ff' AS bytes, DATE '2026-01-31' AS day, TIMESTAMP '2026-01-31 12:00:00.5' AS local, TIME '12:30:00' AS time,
           b'101' AS bits, NULL AS nothing, 1 AS same, 2 AS same,
           (SELECT from_unixtime(1)) AS moment"""
    )
    assert caller.result("do")["rows"] == [
        {
            "big": 9007199254740993,
            "float_": 1.5,
            "exact": "1234567890123456789.10",
            "text": "ü",
            "bytes": "AP8=",
            "day": "2026-01-31",
            "local": "2026-01-31T12:00:00.5",
            "time": "12:30:00",
            "bits": "BQ==",
            "nothing": None,
            "same": 1,
            "same_2": 2,
            "moment": "1970-01-01T00:00:01",
        }
    ]


def test_columns_become_json_by_rule(make: Make, server: Mariadb, database: str) -> None:
    server.admin(
        f"USE {database}; CREATE TABLE kinds (t timestamp, d datetime(3), y year, b bit(9), j json, e enum('a','b'), n tinyint(1));"
        "INSERT INTO kinds VALUES ('2026-01-31 12:00:00', '2026-01-31 12:00:00.250', 2026, b'100000001', '{\"a\":1}', 'b', 1)"
    )
    zone = json.loads(json.dumps(make("SELECT * FROM kinds").result("do")["rows"]))[0]
    assert zone.pop("t").endswith("+00:00")
    assert zone == {"d": "2026-01-31T12:00:00.250", "y": 2026, "b": 257, "j": '{"a":1}', "e": "b", "n": 1}


@pytest.mark.parametrize(
    "sql", ["SELECT nextval(numbers)", "WITH n AS (SELECT 1 AS a) SELECT a, nextval(numbers) FROM n"]
)
def test_the_server_refuses_changes_in_a_read(make: Make, server: Mariadb, database: str, sql: str) -> None:
    server.admin(f"USE {database}; CREATE SEQUENCE numbers")
    outcome = make(sql).call("do")
    assert (outcome.error_class, outcome.headers["sqlstate"]) == (ErrorClass.PROVIDER_ERROR, "25006")


def test_a_write_is_one_transaction_that_commits(make: Make) -> None:
    insert = make("INSERT INTO person (name) VALUES (:name)", mode="write")
    answer = insert.result("do", {"parameters": {"name": "Ada"}})
    assert (answer["row_count"], answer["last_insert_id"], answer["rows"]) == (1, 51, [])
    clash = make("INSERT INTO person (id, name) VALUES (60, 'x'), (1, 'y')", mode="write")
    for _ in range(2):
        outcome = clash.call("do")
        assert (outcome.error_class, outcome.headers["sqlstate"]) == (ErrorClass.PROVIDER_ERROR, "23000")
    assert json.loads(outcome.body)["error"]["number"] == 1062
    assert make("SELECT count(*) AS n FROM person WHERE id >= 50").result("do")["rows"] == [{"n": 2}]
    back = make("INSERT INTO person (name) VALUES ('a'), ('b') RETURNING name", mode="write", max_rows=1)
    answer = back.result("do")
    assert (answer["rows"], answer["truncated"]) == ([{"name": "a"}], True)
    assert make("SELECT count(*) AS n FROM person").result("do")["rows"] == [{"n": 53}]


def test_the_first_table_of_a_procedure_is_the_answer(make: Make, server: Mariadb, database: str) -> None:
    server.admin(
        f"USE {database};\nDELIMITER //\nCREATE PROCEDURE two(k int) BEGIN SELECT k AS a; SELECT 2 AS b; END//\n"
    )
    caller = make("CALL two(:k)", mode="write")
    for k in (5, 6):
        assert caller.result("do", {"parameters": {"k": k}})["rows"] == [{"a": k}]


def test_what_one_call_sets_does_not_reach_the_next_on_the_same_connection(make: Make, relay: Relay) -> None:
    caller = make("SELECT @left := 1, get_lock('a', 0)")
    caller.result("do")
    other = DatabaseTransport.operation_form(sql="SELECT @left AS kept, is_free_lock('a') AS free")
    object.__setattr__(caller.connection, "operations", {"do": other})
    assert caller.result("do")["rows"] == [{"kept": None, "free": 1}]
    assert relay.connections == 1


def test_rows_over_the_cap_are_left_out(make: Make, relay: Relay) -> None:
    limited = make("SELECT seq FROM seq_1_to_100000000", max_rows=3)
    for _ in range(2):
        answer = limited.result("do")
        assert (answer["rows"], answer["truncated"]) == ([{"seq": 1}, {"seq": 2}, {"seq": 3}], True)
    assert relay.connections == 1
    own_limit = make("SELECT seq FROM seq_1_to_100000000 LIMIT 50000000", max_rows=3)
    for _ in range(2):
        assert own_limit.result("do")["row_count"] == 3


@pytest.mark.parametrize(
    "sql", ["SELECT repeat('x', 100) FROM seq_1_to_1000", "SELECT repeat('x', 10000000)"]
)
def test_an_answer_over_the_byte_cap_is_too_large(make: Make, sql: str) -> None:
    outcome = make(sql).call("do", max_bytes=5_000)
    assert outcome.error_class is ErrorClass.TOO_LARGE


def test_the_server_ends_a_statement_at_the_deadline(make: Make, server: Mariadb) -> None:
    begun = time.monotonic()
    outcome = make("SELECT sleep(30)").call("do", timeout=1.0)
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - begun < 10
    until(
        lambda: "sleep(30)" not in server.admin("SHOW FULL PROCESSLIST"),
        seconds=8,
        what="the statement's end",
    )


def test_a_write_whose_answer_is_too_large_is_not_done(make: Make) -> None:
    caller = make("UPDATE person SET name = 'new' WHERE id = 1", mode="write")
    assert caller.call("do", max_bytes=40).error_class is ErrorClass.TOO_LARGE
    assert make("SELECT name FROM person WHERE id = 1").result("do")["rows"] == [{"name": "p1"}]


def test_cancelling_ends_the_call_and_the_statement_on_the_server(make: Make, server: Mariadb) -> None:
    caller = make("SELECT sleep(31)")
    cancellation = Cancellation()
    outcomes: list[Any] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(caller.call("do", timeout=60.0, cancellation=cancellation))
    )
    thread.start()
    until(lambda: "sleep(31)" in server.admin("SHOW FULL PROCESSLIST"), what="the statement")
    cancellation.cancel()
    thread.join(5)
    assert [outcome.error_class for outcome in outcomes] == [ErrorClass.CANCELLED]
    until(
        lambda: "sleep(31)" not in server.admin("SHOW FULL PROCESSLIST"),
        seconds=10,
        what="the statement's end",
    )


def test_a_reset_is_a_reset_and_a_kept_connection_that_ended_is_replaced(make: Make, relay: Relay) -> None:
    caller = make()
    assert caller.call("do").ok
    relay.reset()
    assert caller.call("do").ok
    threading.Timer(0.5, relay.reset).start()
    assert make("SELECT sleep(32)").call("do").error_class is ErrorClass.RESET


def test_a_server_that_says_nothing_more_ends_the_call_at_its_deadline(make: Make, relay: Relay) -> None:
    caller = make()
    assert caller.call("do").ok
    relay.held.set()
    assert caller.call("do", timeout=0.5).error_class is ErrorClass.TIMEOUT
    assert make(settings={"tls": "disable"}).call("do", timeout=0.5).error_class is ErrorClass.TIMEOUT


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT * FROM nothing_here", 1146),
        ("SELECT FROM WHERE", 1064),
        ("SELECT load_file(:a", 1064),
        ("SELECT 1 FROM person PROCEDURE ANALYSE", 1064),
    ],
)
def test_errors_of_the_server_keep_their_code_and_the_connection(
    make: Make, relay: Relay, sql: str, number: int
) -> None:
    caller = make(sql)
    given = {"parameters": {"a": 1}} if ":a" in sql else None
    for _ in range(2):
        outcome = caller.call("do", given)
        assert outcome.error_class is ErrorClass.PROVIDER_ERROR
        assert json.loads(outcome.body)["error"]["number"] == number
    assert relay.connections == 1


def test_a_lock_that_is_not_to_be_had_is_busy(make: Make, server: Mariadb, database: str) -> None:
    holder = make("SELECT sleep(2) FROM person WHERE id = 1 FOR UPDATE", mode="write")
    thread = threading.Thread(target=lambda: holder.call("do"))
    thread.start()
    until(lambda: "sleep(2)" in server.admin("SHOW FULL PROCESSLIST"), what="the lock")
    outcome = make("SELECT id FROM person WHERE id = 1 FOR UPDATE NOWAIT", mode="write").call("do")
    thread.join()
    assert outcome.error_class is ErrorClass.PROVIDER_BUSY


def test_too_many_connections_are_busy_and_a_database_of_others_is_unauthorized(
    make: Make, server: Mariadb
) -> None:
    server.admin("GRANT USAGE ON *.* TO app@'%' WITH MAX_USER_CONNECTIONS 1")
    try:
        caller = make()
        assert caller.call("do").ok
        assert make().call("do").error_class is ErrorClass.PROVIDER_BUSY
    finally:
        server.admin("GRANT USAGE ON *.* TO app@'%' WITH MAX_USER_CONNECTIONS 0")
    other = make()
    object.__setattr__(other.connection, "base_url", other.connection.base_url.rsplit("/", 1)[0] + "/mysql")
    assert other.call("do").error_class is ErrorClass.UNAUTHORIZED


def test_an_address_that_is_not_allowed_is_not_dialled(make: Make, relay: Relay) -> None:
    assert make(policy=AddressPolicy()).call("do").error_class is ErrorClass.REFUSED_BY_POLICY
    assert relay.connections == 0


def test_a_list_is_refused_since_there_are_none(make: Make) -> None:
    caller = make("SELECT :ids")
    with pytest.raises(Invalid) as caught:
        caller.transport.prepare(caller.connection, "do", {"parameters": {"ids": [1]}})
    assert [field.path for field in caught.value.fields] == ["input.parameters.ids"]


@pytest.mark.parametrize(
    "says",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x05\0\0\0\x0a5.5",
        b"\xff\xff\xff\0" + b"x" * 100,
        b"\x17\0\0\0\xff\x10\x04Too many connections",
    ],
)
def test_a_server_that_speaks_something_else_harms_nobody(make: Make, says: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock = listener.accept()[0]
            with sock:
                sock.sendall(says)
                sock.recv(4096)

        threading.Thread(target=serve, daemon=True).start()
        caller = make()
        object.__setattr__(caller.connection, "base_url", f"mysql://127.0.0.1:{listener.getsockname()[1]}/x")
        outcome = caller.call("do", timeout=2.0)
    assert outcome.error_class in {
        ErrorClass.PROTOCOL, ErrorClass.PROVIDER_BUSY, ErrorClass.TOO_LARGE, ErrorClass.RESET, ErrorClass.TIMEOUT,
    }, outcome  # fmt: skip


class TestConformance(Conformance):
    transport = DatabaseTransport()
    scheme = "mysql"
    path = "/information_schema"
    settings = DatabaseSettings(tls="require")
    operations: ClassVar[dict[str, Any]] = {
        "small": DatabaseOperation(sql="SELECT 1 AS one"),
        "large": DatabaseOperation(
            sql="SELECT repeat('x', 1000000) AS x UNION ALL SELECT repeat('y', 3500000)"
        ),
    }
    small = ("small", None)
    large = ("large", None)
    good = basic("app", PASSWORD)
    bad = basic("app", "canary-bad-password")

    @pytest.fixture
    def port(self, server: Mariadb) -> int:
        return server.port
