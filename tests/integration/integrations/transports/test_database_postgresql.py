from __future__ import annotations

import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import trustme

from hub.core.errors import Invalid
from hub.integrations.transports.database import DatabaseTransport
from hub.integrations.transports.database.forms import DatabaseOperation, DatabaseSettings
from hub.net import AddressPolicy, ErrorClass
from hub.net.cancellation import Cancellation
from hub.net.identity import TlsIdentity
from tests.integration.integrations.transports.calls import Caller, basic
from tests.integration.integrations.transports.conformance import Conformance
from tests.integration.integrations.transports.relay import Relay, relaying
from tests.support.waiting import until

PASSWORD = "correct-horse-Zahlenschloß"
ROLES = {"wire_scram": "scram-sha-256", "wire_md5": "md5", "wire_clear": "password"}

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def unix_socket(postgres_url: str, servers_dir: Path) -> str:
    """The server's unix socket; roles that need passwords are on it."""
    hba = servers_dir / "postgres" / "data" / "pg_hba.conf"
    lines = "".join(f"local all {role} {method}\n" for role, method in ROLES.items())
    hba.write_text(lines + hba.read_text())
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for role in ROLES:
            encryption = "md5" if role == "wire_md5" else "scram-sha-256"
            admin.execute(f"SET password_encryption = '{encryption}'")
            admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        admin.execute("SELECT pg_reload_conf()")
    directory = parse_qs(urlsplit(postgres_url).query)["host"][0]
    return f"{directory}/.s.PGSQL.5432"


@pytest.fixture
def database(empty_database_url: str) -> str:
    name = urlsplit(empty_database_url).path.removeprefix("/")
    with psycopg.connect(empty_database_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, born date)")
        admin.execute(
            "INSERT INTO person SELECT n, 'p' || n, DATE '2000-01-01' + n FROM generate_series(1, 50) n"
        )
        admin.execute(f"GRANT ALL ON person TO {', '.join(ROLES)}")
        admin.execute(f"GRANT CREATE ON SCHEMA public TO {', '.join(ROLES)}")
    return name


def connecting(path: str) -> Callable[[], socket.socket]:
    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return sock

    return connect


def ssl_request(client: socket.socket, _server: socket.socket) -> bool:
    """Take an SSLRequest, which the test's server, built without TLS, would deny. A request to cancel passes too."""
    first = client.recv(8, socket.MSG_WAITALL)
    assert first[4:] == (80877103).to_bytes(4, "big")
    client.sendall(b"S")
    return True


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def relay(unix_socket: str) -> Iterator[Relay]:
    with relaying(connecting(unix_socket)) as running:
        yield running


@pytest.fixture
def tls_relay(unix_socket: str, authority: trustme.CA) -> Iterator[Relay]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with relaying(connecting(unix_socket), context=context, before_tls=ssl_request) as running:
        yield running


Make = Callable[..., Caller]


@pytest.fixture
def make(relay: Relay, database: str) -> Make:
    """Makes a caller of the test's database: `make(sql, mode=…)` has one operation, `do`."""

    def caller(sql: str = "SELECT 1 AS one", **more: Any) -> Caller:
        options: dict[str, Any] = {
            "role": "wire_scram",
            "password": PASSWORD,
            "settings": {"tls": "disable"},
            "port": relay.port,
            "host": "127.0.0.1",
            "tls": None,
            "policy": None,
        }
        options |= {name: more.pop(name) for name in list(more) if name in options}
        extra = {} if options["policy"] is None else {"policy": options["policy"]}
        return Caller(
            DatabaseTransport(),
            f"postgresql://{options['host']}:{options['port']}/{database}",
            basic(options["role"], options["password"]),
            {"do": {"sql": sql, **more}},
            options["settings"],
            tls=options["tls"],
            **extra,
        )

    return caller


@pytest.mark.parametrize("role", sorted(ROLES))
def test_logs_in_by_the_methods_that_need_no_tls_and_not_in_the_clear(make: Make, role: str) -> None:
    outcome = make(role=role).call("do")
    if role == "wire_clear":
        assert outcome.error_class is ErrorClass.TLS
    else:
        assert outcome.ok, outcome.message


@pytest.mark.parametrize("role", sorted(ROLES))
def test_logs_in_by_every_method_under_verified_tls(
    make: Make, tls_relay: Relay, authority: trustme.CA, role: str
) -> None:
    caller = make(
        role=role, host="localhost", port=tls_relay.port, settings={},
        tls=TlsIdentity(ca=authority.cert_pem.bytes()),
    )  # fmt: skip
    assert caller.result("do")["rows"] == [{"one": 1}]
    assert caller.probe().ok


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_wrong_password_is_unauthorized_and_is_shown_nowhere(
    make: Make, role: str, tls_relay: Relay
) -> None:
    caller = make(role=role, password="wrong-canary", settings={"tls": "require"}, port=tls_relay.port)
    outcome = caller.call("do")
    assert outcome.error_class is ErrorClass.UNAUTHORIZED
    assert outcome.headers["sqlstate"] == "28P01"
    assert "wrong-canary" not in f"{outcome}"


def test_a_certificate_for_another_host_or_of_a_stranger_is_refused(
    make: Make, tls_relay: Relay, authority: trustme.CA
) -> None:
    stranger = make(host="localhost", port=tls_relay.port, settings={})
    other_name = make(port=tls_relay.port, settings={}, tls=TlsIdentity(ca=authority.cert_pem.bytes()))
    for caller in (stranger, other_name):
        assert caller.call("do").error_class is ErrorClass.TLS
    assert make(port=tls_relay.port, settings={"tls": "require"}).call("do").ok
    assert PASSWORD.encode() not in tls_relay.sent


def test_a_server_without_tls_is_not_told_the_login(make: Make, relay: Relay) -> None:
    outcome = make(settings={}).call("do")
    assert outcome.error_class is ErrorClass.TLS
    assert "settings.tls" in outcome.message
    assert b"wire_scram" not in relay.sent


def test_pg_variables_and_files_have_no_effect(make: Make, tmp_path: Path) -> None:
    service = tmp_path / "services"
    service.write_text("[other]\nhost=127.0.0.2\nuser=nobody\n")
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:*:from-the-file\n")
    passwords.chmod(0o600)
    variables = {
        "PGHOST": "127.0.0.2", "PGHOSTADDR": "127.0.0.2", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "no",
        "PGDATABASE": "nothing", "PGSERVICE": "other", "PGSERVICEFILE": str(service), "PGPASSFILE": str(passwords),
        "PGOPTIONS": "-c default_transaction_read_only=on", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German",
        "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/nowhere", "PGCLIENTENCODING": "latin1", "PGAPPNAME": "canary",
        "PGREQUIREAUTH": "none",
    }  # fmt: skip
    caller = make(
        "SELECT current_user AS who, DATE '2026-02-01' AS day, current_setting('TimeZone') AS zone, "
        "current_setting('application_name') AS name, current_setting('client_encoding') AS encoding"
    )
    # For this call alone: the fixtures use libpq, which takes them.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        rows = caller.result("do")["rows"]
    assert rows == [
        {
            "who": "wire_scram",
            "day": "2026-02-01",
            "zone": "UTC",
            "name": "integration-hub",
            "encoding": "UTF8",
        }
    ]


def test_values_stay_values_whatever_they_look_like(make: Make) -> None:
    nasty = "'; DROP TABLE person; -- $1 :name \\ \" %s {} ✓"
    caller = make("SELECT :text::text AS text, :text AS again, ':text' AS quoted, $$:text$$ AS dollars")
    assert caller.result("do", {"parameters": {"text": nasty}})["rows"] == [
        {"text": nasty, "again": nasty, "quoted": ":text", "dollars": ":text"}
    ]
    assert make("SELECT count(*) AS n FROM person").result("do")["rows"] == [{"n": 50}]


def test_parameters_take_the_type_that_the_statement_needs(make: Make) -> None:
    caller = make(
        "SELECT id FROM person WHERE id = ANY(:ids) AND born >= :since AND name LIKE :like AND (:off::bool OR id > 1) "
        "ORDER BY id LIMIT :top",
        parameters={
            "since": {"type": "date"},
            "top": {"type": "integer", "default": 2},
            "off": {"type": "boolean"},
        },
    )
    given = {"ids": [1, 2, 3, 4], "since": "2000-01-01", "like": "p%", "off": False}
    assert [row["id"] for row in caller.result("do", {"parameters": given})["rows"]] == [2, 3]
    given["top"] = 3
    assert [row["id"] for row in caller.result("do", {"parameters": given})["rows"]] == [2, 3, 4]


def test_every_type_becomes_json_by_rule(make: Make) -> None:
    caller = make(
        """SELECT true AS boolean, 9007199254740993::int8 AS big, 1.5::float8 AS float, 'NaN'::float8 AS nan,
           12345678901234567890.123456789::numeric AS exact, 'ü'::text AS text, '\\x00ff'::bytea AS bytes,
           DATE '2026-01-31' AS day, TIMESTAMP '2026-01-31 12:00:00.5' AS local,
           TIMESTAMPTZ '2026-01-31 12:00:00+02' AS moment, TIME '12:30' AS time, INTERVAL '1 day 2 hours' AS span,
           '{"a":[1,null,1.5]}'::jsonb AS json, 'd9428888-122b-11e1-b85c-61cd3cbb3210'::uuid AS uuid,
           ARRAY[[1,NULL],[3,4]] AS matrix, ARRAY['a b','c"d\\e',NULL,'','NULL'] AS words,
           ARRAY[1.10::numeric] AS decimals, '10.0.0.1'::inet AS address, int4range(1, 5) AS range,
           NULL::int AS nothing, 'infinity'::timestamptz AS never, '[0:1]={7,8}'::int[] AS bounds,
           ARRAY[]::int[] AS empty, 1 AS same, 2 AS same"""
    )
    assert caller.result("do")["rows"] == [
        {
            "boolean": True,
            "big": 9007199254740993,
            "float": 1.5,
            "nan": "NaN",
            "exact": "12345678901234567890.123456789",
            "text": "ü",
            "bytes": "AP8=",
            "day": "2026-01-31",
            "local": "2026-01-31T12:00:00.5",
            "moment": "2026-01-31T10:00:00+00:00",
            "time": "12:30:00",
            "span": "P1DT2H",
            "json": {"a": [1, None, 1.5]},
            "uuid": "d9428888-122b-11e1-b85c-61cd3cbb3210",
            "matrix": [[1, None], [3, 4]],
            "words": ["a b", 'c"d\\e', None, "", "NULL"],
            "decimals": ["1.10"],
            "address": "10.0.0.1",
            "range": "[1,5)",
            "nothing": None,
            "never": "infinity",
            "bounds": [7, 8],
            "empty": [],
            "same": 1,
            "same_2": 2,
        }
    ]


def test_json_keeps_numbers_that_python_cannot_hold(make: Make) -> None:
    caller = make("""SELECT '{"a": 0.12345678901234567890123}'::jsonb AS b, '[1e400]'::json AS j,
                     ARRAY['1.10'::jsonb, NULL] AS list""")
    body = caller.call("do").body
    assert b'[{"b":{"a": 0.12345678901234567890123},"j":[1e400],"list":[1.10,null]}]' in body


@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        ("bytes", "AP8=", "\\x00ff"),
        ("json", {"a": [1, None]}, '{"a": [1, null]}'),
        ("decimal", "12345678901234567890.10", "12345678901234567890.10"),
        ("timestamp", "2026-01-31T12:00:00Z", "2026-01-31 12:00:00+00"),
        ("uuid", "D9428888-122B-11E1-B85C-61CD3CBB3210", "d9428888-122b-11e1-b85c-61cd3cbb3210"),
        ("any", None, None),
        ("any", [["a", 'b"\\'], [None, "c"]], '{{a,"b\\"\\\\"},{NULL,c}}'),
    ],
)
def test_typed_values_arrive_as_they_are(make: Make, type_: str, value: Any, shown: str | None) -> None:
    casts = {
        "bytes": "bytea",
        "json": "jsonb",
        "decimal": "numeric",
        "timestamp": "timestamptz",
        "any": "text[]",
    }
    caller = make(
        f"SELECT (:value::{casts.get(type_, type_)})::text AS shown", parameters={"value": {"type": type_}}
    )
    assert caller.result("do", {"parameters": {"value": value}})["rows"] == [{"shown": shown}]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH new AS (INSERT INTO person VALUES (99, 'x') RETURNING id) SELECT * FROM new",
        "EXPLAIN ANALYZE DELETE FROM person",
        "WITH x AS (DELETE FROM person), w AS (SELECT set_config('transaction_read_only','off',true)) SELECT * FROM w",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT lo_create(0)",
    ],
)
def test_the_server_refuses_changes_in_a_read(make: Make, database: str, postgres_url: str, sql: str) -> None:
    outcome = make(sql).call("do")
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR, outcome
    assert outcome.headers["sqlstate"] in {"25006", "25001"}
    assert make("SELECT count(*) AS n FROM person").result("do")["rows"] == [{"n": 50}]


def test_a_write_is_one_transaction_that_commits(make: Make) -> None:
    insert = make("INSERT INTO person VALUES (:id, :name)", mode="write")
    assert insert.result("do", {"parameters": {"id": 100, "name": "Ada"}}) == {
        "columns": [],
        "row_count": 1,
        "truncated": False,
        "rows": [],
    }
    update = make(
        "UPDATE person SET name = upper(name) WHERE id >= :from RETURNING id", mode="write", max_rows=2
    )
    answer = update.result("do", {"parameters": {"from": 41}})
    assert (answer["row_count"], answer["rows"], answer["truncated"]) == (11, [{"id": 41}, {"id": 42}], True)
    assert make("SELECT count(*) AS n FROM person WHERE name = upper(name)").result("do")["rows"] == [
        {"n": 11}
    ]


def test_a_broken_constraint_says_which_and_changes_nothing(make: Make) -> None:
    caller = make("INSERT INTO person VALUES (:id, 'x'), (1, 'y')", mode="write")
    outcome = caller.call("do", {"parameters": {"id": 200}})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert outcome.headers["sqlstate"] == "23505"
    said = json.loads(outcome.body)["error"]
    assert (said["constraint"], said["table"]) == ("person_pkey", "person")
    assert make("SELECT id FROM person WHERE id = 200").result("do")["rows"] == []


def test_a_constraint_that_is_checked_at_the_end_is_an_error_too(make: Make) -> None:
    with psycopg.connect(_url(make)) as admin:
        admin.execute("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        admin.execute("GRANT ALL ON late TO wire_scram")
    caller = make("INSERT INTO late VALUES (1), (1)", mode="write")
    assert caller.call("do").headers["sqlstate"] == "23505"
    assert make("SELECT count(*) AS n FROM late").result("do")["rows"] == [{"n": 0}]


def _url(make: Make) -> str:
    return f"postgresql://wire_scram:{PASSWORD}@127.0.0.1:{urlsplit(make().connection.base_url).port}{urlsplit(make().connection.base_url).path}?sslmode=disable"


def test_what_one_call_sets_does_not_reach_the_next_on_the_same_connection(make: Make, relay: Relay) -> None:
    caller = make("SELECT set_config('work_mem', :v, false), pg_advisory_lock(7)")
    caller.result("do", {"parameters": {"v": "123kB"}})
    other = DatabaseTransport.operation_form(
        sql="SELECT current_setting('work_mem') AS mem, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS n"
    )
    object.__setattr__(caller.connection, "operations", {"do": other})
    assert caller.result("do")["rows"] == [{"mem": "8MB", "n": 0}]
    assert relay.connections == 1


def test_what_a_call_sets_whose_commit_fails_does_not_reach_the_next_one_either(
    make: Make, relay: Relay
) -> None:
    with psycopg.connect(_url(make)) as admin:
        admin.execute("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    before = relay.connections
    caller = make(
        "INSERT INTO late SELECT 1 FROM pg_advisory_lock(8), generate_series(1, :n)", mode="write",
        parameters={"n": {"type": "integer"}},
    )  # fmt: skip
    assert caller.call("do", {"parameters": {"n": 2}}).headers["sqlstate"] == "23505"
    other = DatabaseTransport.operation_form(sql="SELECT count(*) AS n FROM pg_locks WHERE objid = 8")
    object.__setattr__(caller.connection, "operations", {"do": other})
    assert caller.result("do")["rows"] == [{"n": 0}]
    assert relay.connections == before + 1


def test_rows_over_the_cap_are_left_out_and_the_connection_stays_of_use(make: Make, relay: Relay) -> None:
    caller = make("SELECT generate_series(1, 2000000000) AS n", max_rows=3)
    for _ in range(2):
        answer = caller.result("do")
        assert (answer["rows"], answer["row_count"], answer["truncated"]) == (
            [{"n": 1}, {"n": 2}, {"n": 3}],
            3,
            True,
        )
    assert relay.connections == 1
    exact = make("SELECT n FROM generate_series(1, 3) n", max_rows=3)
    assert exact.result("do")["truncated"] is False


@pytest.mark.parametrize(
    "sql", ["SELECT repeat('x', 100) FROM generate_series(1, 1000)", "SELECT repeat('x', 90000000)"]
)
def test_an_answer_over_the_byte_cap_is_too_large(make: Make, sql: str) -> None:
    outcome = make(sql).call("do", max_bytes=5_000)
    assert outcome.error_class is ErrorClass.TOO_LARGE
    assert outcome.body == b""


def test_a_write_whose_answer_is_too_large_is_not_done(make: Make) -> None:
    caller = make("UPDATE person SET name = repeat('x', 1000) RETURNING name", mode="write")
    assert caller.call("do", max_bytes=5_000).error_class is ErrorClass.TOO_LARGE
    assert make("SELECT max(length(name)) AS n FROM person").result("do")["rows"] == [{"n": 3}]


@pytest.mark.parametrize("returning", ["", "RETURNING name"])
def test_what_makes_an_answer_too_large_in_the_end_is_not_done_either(make: Make, returning: str) -> None:
    caller = make(f"UPDATE person SET name = 'new' WHERE id = 1 {returning}", mode="write")
    # Room for the row, and not for what is around it.
    assert caller.call("do", max_bytes=40).error_class is ErrorClass.TOO_LARGE
    assert make("SELECT name FROM person WHERE id = 1").result("do")["rows"] == [{"name": "p1"}]


def test_the_server_ends_a_statement_at_the_deadline(make: Make, postgres_url: str) -> None:
    begun = time.monotonic()
    outcome = make("SELECT pg_sleep(30)").call("do", timeout=1.0)
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - begun < 10
    until(lambda: not running(postgres_url, "pg_sleep(30)"), what="the statement's end")


def test_a_server_that_says_nothing_more_ends_the_call_at_its_deadline(make: Make, relay: Relay) -> None:
    caller = make()
    assert caller.call("do").ok
    relay.held.set()
    begun = time.monotonic()
    assert caller.call("do", timeout=0.5).error_class is ErrorClass.TIMEOUT
    assert make().call("do", timeout=0.5).error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("tls", [False, True])
def test_cancelling_ends_the_call_and_the_statement_on_the_server(
    make: Make, postgres_url: str, tls: bool, tls_relay: Relay
) -> None:
    caller = make("SELECT pg_sleep(31)")
    if tls:
        caller = make("SELECT pg_sleep(31)", settings={"tls": "require"}, port=tls_relay.port)
    cancellation = Cancellation()
    outcomes: list[Any] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(caller.call("do", timeout=60.0, cancellation=cancellation))
    )
    thread.start()
    until(lambda: running(postgres_url, "pg_sleep(31)"), what="the statement")
    cancellation.cancel()
    thread.join(5)
    assert [outcome.error_class for outcome in outcomes] == [ErrorClass.CANCELLED]
    until(lambda: not running(postgres_url, "pg_sleep(31)"), seconds=10, what="the statement's end")


def running(postgres_url: str, text: str) -> bool:
    with psycopg.connect(postgres_url) as admin:
        found = admin.execute(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()",
            [f"%{text}%"],
        ).fetchone()
    return found is not None


def test_a_reset_is_a_reset_and_a_kept_connection_that_ended_is_replaced(make: Make, relay: Relay) -> None:
    caller = make()
    assert caller.call("do").ok
    relay.reset()
    assert caller.call("do").ok
    assert relay.connections == 2
    slow = make("SELECT pg_sleep(32)")
    threading.Timer(0.5, relay.reset).start()
    assert slow.call("do").error_class is ErrorClass.RESET


def test_two_calls_at_once_never_share_a_connection(make: Make, relay: Relay) -> None:
    caller = make("SELECT pg_backend_pid() AS pid, pg_sleep(0.3)")
    pids: list[int] = []
    threads = [
        threading.Thread(target=lambda: pids.append(caller.result("do")["rows"][0]["pid"])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 4
    assert caller.result("do")["rows"][0]["pid"] in pids
    assert relay.connections == 4


@pytest.mark.parametrize(
    ("sql", "error_class", "sqlstate"),
    [
        ("SELECT * FROM nothing_here", ErrorClass.PROVIDER_ERROR, "42P01"),
        ("SELECT FROM WHERE", ErrorClass.PROVIDER_ERROR, "42601"),
        ("SELECT 1/0", ErrorClass.PROVIDER_ERROR, "22012"),
        ("SELECT pg_read_file('/etc/passwd')", ErrorClass.PROVIDER_ERROR, "42501"),
    ],
)
def test_errors_of_the_server_keep_their_code_and_the_connection(
    make: Make, relay: Relay, sql: str, error_class: ErrorClass, sqlstate: str
) -> None:
    caller = make(sql)
    for _ in range(2):
        outcome = caller.call("do")
        assert (outcome.error_class, outcome.headers["sqlstate"]) == (error_class, sqlstate)
        assert outcome.message.startswith("PostgreSQL: ")
    assert relay.connections == 1


def test_what_may_work_later_is_busy(make: Make, database: str, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE wire_scram CONNECTION LIMIT 0")
        try:
            outcome = make().call("do")
        finally:
            admin.execute("ALTER ROLE wire_scram CONNECTION LIMIT -1")
    assert (outcome.error_class, outcome.headers["sqlstate"]) == (ErrorClass.PROVIDER_BUSY, "53300")


def test_a_deadlock_or_a_conflict_is_busy(make: Make) -> None:
    nowait = make("SELECT id FROM person WHERE id = 1 FOR UPDATE NOWAIT", mode="write")
    with psycopg.connect(_url(make)) as other:
        other.execute("SELECT id FROM person WHERE id = 1 FOR UPDATE")
        outcome = nowait.call("do")
    assert (outcome.error_class, outcome.headers["sqlstate"]) == (ErrorClass.PROVIDER_BUSY, "55P03")


def test_a_connection_that_the_server_ends_is_busy_in_its_words(make: Make) -> None:
    caller = make("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)")
    for _ in range(2):
        outcome = caller.call("do")
        assert (outcome.error_class, outcome.headers["sqlstate"]) == (ErrorClass.PROVIDER_BUSY, "57P01")
        assert "terminating connection" in outcome.message


def test_a_connection_that_the_server_ends_in_commit_may_have_done_it(make: Make) -> None:
    with psycopg.connect(_url(make)) as admin:
        admin.execute("CREATE TABLE last (id int)")
        admin.execute(
            "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10); RETURN NULL; END'"
        )
        admin.execute(
            "CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON last DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION leave()"
        )
    outcome = make("INSERT INTO last VALUES (1)", mode="write").call("do")
    assert outcome.error_class is ErrorClass.RESET
    assert "COMMIT" in outcome.message
    assert "terminating connection" in outcome.message
    assert json.loads(outcome.body)["error"]["sqlstate"] == "57P01"


def test_a_database_that_is_not_there_is_the_providers_error(make: Make) -> None:
    caller = make()
    object.__setattr__(caller.connection, "base_url", caller.connection.base_url + "_no")
    outcome = caller.call("do")
    assert (outcome.error_class, outcome.headers["sqlstate"]) == (ErrorClass.PROVIDER_ERROR, "3D000")


def test_an_address_that_is_not_allowed_is_not_dialled(make: Make, relay: Relay) -> None:
    outcome = make(policy=AddressPolicy()).call("do")
    assert outcome.error_class is ErrorClass.REFUSED_BY_POLICY
    assert relay.connections == 0


def test_nobody_listening_is_a_refused_connection(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert make(port=port).call("do").error_class is ErrorClass.CONNECT_REFUSED


@pytest.mark.parametrize(
    "says",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"R\0\0\0\x08\0\0\0\x63",
        b"R\0\0\0\x02",
        b"E" + (1 << 30).to_bytes(4, "big"),
        b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x0b\0\0\0\x0babc",
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IT\0\0\0\x06\xff\xffZ\0\0\0\x05T",
    ],
)
def test_a_server_that_speaks_something_else_harms_nobody(make: Make, says: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock = listener.accept()[0]
            with sock:
                sock.recv(4096)
                sock.sendall(says)
                sock.recv(4096)

        threading.Thread(target=serve, daemon=True).start()
        outcome = make(port=listener.getsockname()[1]).call("do", timeout=3.0)
    assert outcome.error_class in {
        ErrorClass.PROTOCOL,
        ErrorClass.UNAUTHORIZED,
        ErrorClass.TOO_LARGE,
        ErrorClass.RESET,
    }


SCRAM = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
WELCOME = b"R\0\0\0\x08\0\0\0\0"
READY = b"Z\0\0\0\x05I"


@pytest.mark.parametrize(
    "says",
    [SCRAM + WELCOME + READY, SCRAM + READY, SCRAM + WELCOME + WELCOME + READY],
    ids=["welcomed", "only ready", "welcomed twice"],
)
def test_a_server_that_leaves_its_own_proof_out_gets_no_statement(make: Make, says: bytes) -> None:
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as sock:
                sock.recv(4096)
                sock.sendall(says)
                while data := sock.recv(4096):
                    heard.extend(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        outcome = make("SELECT 'canary'", port=listener.getsockname()[1]).call("do", timeout=2.0)
        thread.join(5)
    assert outcome.error_class is ErrorClass.UNAUTHORIZED
    assert "BEGIN" not in heard.decode("latin-1")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"parameters": {"id": 1}}, "input.parameters.name"),
        ({"parameters": {"id": 1, "name": "x", "more": 1}}, "input.parameters.more"),
        ({"parameters": {"id": "one", "name": "x"}}, "input.parameters.id"),
        ({"parameters": {"id": True, "name": "x"}}, "input.parameters.id"),
        ({"parameters": {"id": 1, "name": {"a": 1}}}, "input.parameters.name"),
        ({"parameters": {"id": 1, "name": "a\0b"}}, "input.parameters.name"),
        ({"parameters": {"id": 1, "name": "\ud800"}}, "input.parameters.name"),
        ({"parameters": [1]}, "input"),
        ({"params": {}}, "input.params"),
        ("SELECT 1", "input"),
    ],
)
def test_input_that_does_not_fit_is_refused_before_anything_is_sent(
    make: Make, given: Any, path: str
) -> None:
    caller = make("SELECT :id, :name", parameters={"id": {"type": "integer"}})
    with pytest.raises(Invalid) as caught:
        caller.transport.prepare(caller.connection, "do", given)
    assert path in {field.path for field in caught.value.fields}


def test_what_is_prepared_says_what_it_is(make: Make) -> None:
    caller = make("SELECT :id")
    prepared = caller.transport.prepare(caller.connection, "do", {"parameters": {"id": 1}})
    assert (prepared.method, prepared.safe, prepared.idempotent) == ("SELECT", True, True)
    assert prepared.payload == {"sql": "SELECT :id", "parameters": {"id": 1}}
    writer = make("DELETE FROM person", mode="write")
    prepared = writer.transport.prepare(writer.connection, "do", None)
    assert (prepared.method, prepared.safe, prepared.idempotent) == ("DELETE", False, False)


class TestConformance(Conformance):
    transport = DatabaseTransport()
    scheme = "postgresql"
    path = "/hub"
    settings = DatabaseSettings(tls="disable")
    operations: ClassVar[dict[str, Any]] = {
        "small": DatabaseOperation(sql="SELECT 1 AS one"),
        "large": DatabaseOperation(
            sql="SELECT repeat('x', 1000) AS x FROM generate_series(1, 4100)", max_rows=5000
        ),
    }
    small = ("small", None)
    large = ("large", None)
    good = basic("wire_scram", PASSWORD)
    bad = basic("wire_scram", "canary-bad-password")
    # The server says whose password it refuses; a login that is cut off by an error text is one.
    garbled = frozenset({ErrorClass.PROTOCOL})

    @pytest.fixture
    def port(self, relay: Relay) -> int:
        return relay.port
