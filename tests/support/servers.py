"""Real servers for tests: one Postgres and one Valkey for the whole run, a database and a key space for each
test.

A test asks for what it needs: `postgres_url` and `valkey_url` are the servers, `database_url` is a fresh
migrated database (copied from a template, about 30 ms), `engine` is an engine on it, `redis_url` is an
empty Valkey database, and `hub_environment` points the process's settings to both.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from hub.core.settings import get_settings
from hub.db.engine import forget_engine, make_engine
from hub.embedded.postgres import EmbeddedPostgres
from hub.embedded.valkey import EmbeddedValkey
from hub.vault.keyring import generate_key

_TEMPLATE = "hub_template"
_VALKEY_DATABASES = 64
#: Several times what the servers of four test processes were seen to use.
_ROOM_BYTES = 2 << 30
#: The key ring of this test run.
MASTER_KEY = generate_key(os.urandom)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A short directory that the user of an embedded Postgres may enter under root."""
    path = Path(tempfile.mkdtemp(prefix="hub-test-", dir=_memory()))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(servers_dir: Path) -> Iterator[str]:
    """The server's own database; make no tables in it."""
    server = EmbeddedPostgres(servers_dir, durable=False)
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def valkey_url(servers_dir: Path) -> Iterator[str]:
    """The server's database 0; tests use the others."""
    server = EmbeddedValkey(servers_dir, durable=False)
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a migrated database that nobody is connected to."""
    from hub.db.migrate import upgrade  # noqa: PLC0415  (unit tests do not need Alembic)

    _execute(postgres_url, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(_named(postgres_url, _TEMPLATE))
    return _TEMPLATE


def _memory() -> Path | None:
    """Where files are in memory, if there is room for all: nearly every test has a database copied and removed."""
    path = Path("/dev/shm")
    try:
        roomy = shutil.disk_usage(path).free >= _ROOM_BYTES
    except OSError:
        return None
    return path if roomy and os.access(path, os.W_OK | os.X_OK) else None


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database of the test's own without any table."""
    name = f"test_{next(_numbers)}"
    _execute(postgres_url, f"CREATE DATABASE {name}")
    yield _named(postgres_url, name)
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{next(_numbers)}"
    # Files are copied in half of the time that their log takes; what is lost in a crash is nothing here.
    _execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY FILE_COPY")
    yield _named(postgres_url, name)
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on the test's own database."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """An empty Valkey database of the test's own."""
    url = f"{valkey_url}?db={1 + next(_numbers) % (_VALKEY_DATABASES - 1)}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def hub_environment(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point `get_settings` and `get_engine` of this process to the test's own database and Valkey."""
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("HUB_REDIS_URL", redis_url)
    monkeypatch.setenv("HUB_MASTER_KEYS", MASTER_KEY)
    get_settings.cache_clear()
    forget_engine(close=True)
    yield
    forget_engine(close=True)


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
