"""An embedded Postgres of the test's own: data, locks, leftovers."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hub.core.errors import ConfigError
from hub.embedded.leftover import command_of
from hub.embedded.postgres import EmbeddedPostgres
from tests.support.waiting import until


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One cluster for the module: initdb is the slow part. Under root others may enter it."""
    with tempfile.TemporaryDirectory(prefix="hub-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir)
    server.start()
    yield server
    server.stop()


def show(server: EmbeddedPostgres, setting: str) -> str:
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
    assert row is not None
    return str(row[0])


def test_what_is_committed_survives_a_killed_server(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("DELETE FROM kept")
        connection.execute("INSERT INTO kept VALUES (42)")
    assert server.process.pid is not None
    os.kill(server.process.pid, signal.SIGKILL)
    until(lambda: not server.process.alive)
    server.stop()
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(42,)]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("max_connections", "200"),
        ("max_locks_per_transaction", "256"),
        ("jit", "off"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
    ],
)
def test_it_is_durable_local_and_sized_for_a_small_node(
    server: EmbeddedPostgres, setting: str, value: str
) -> None:
    assert show(server, setting) == value


def test_a_second_server_on_the_same_directory_is_refused_with_a_sentence(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    with pytest.raises(
        ConfigError, match=f"Another hub \\(process {os.getpid()}\\) already runs on the data in"
    ):
        EmbeddedPostgres(data_dir).start()
    assert server.ready()


def test_a_stale_pid_file_whose_number_belongs_to_another_process_does_not_stop_the_start(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    server.stop()
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getppid()}\n{pid_file.parent}\n0\n5432\n\n\n\n")
    server.start()
    assert server.ready()


def test_a_server_that_an_earlier_hub_left_running_is_ended_first(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    left = server.process
    server._lock.release()  # what the kernel does when a hub is killed
    fresh = EmbeddedPostgres(data_dir)
    try:
        fresh.start()
        assert not left.alive
        assert fresh.ready()
    finally:
        fresh.stop()


def test_only_this_user_reaches_the_socket(server: EmbeddedPostgres) -> None:
    assert server._socket_dir.stat().st_mode & 0o777 == 0o700
    assert len(str(server._socket_dir)) < 80


def test_it_does_not_run_as_root(server: EmbeddedPostgres, data_dir: Path) -> None:
    assert (data_dir / "postgres" / "data").stat().st_uid != 0
    assert server.process.pid is not None
    assert "postgres" in command_of(server.process.pid)
