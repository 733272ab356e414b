"""Servers, keys and schema together, as `hub up` enters them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from hub.core.errors import ConfigError
from hub.embedded.stack import Stack


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="hub-test-") as name:
        Path(name).chmod(0o711)
        yield {"PATH": os.environ["PATH"], "HUB_DATA_DIR": f"{name}/data"}


def test_it_starts_both_servers_makes_a_key_and_migrates(environ: dict[str, str]) -> None:
    with Stack(environ, durable=False) as stack:
        assert [process.child.name for process in stack.processes] == ["postgres", "valkey"]
        with psycopg.connect(stack.environ["HUB_DATABASE_URL"]) as connection:
            found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'hub'").fetchone()
        assert found is not None
        assert found[0] > 0
        with redis.Redis.from_url(stack.environ["HUB_REDIS_URL"]) as client:
            assert client.ping()
        assert stack.key_file is not None
        assert stack.key_file.stat().st_mode & 0o777 == 0o600
        assert stack.settings.master_keys is not None
    assert not any(process.alive for process in stack.processes)


def test_servers_and_keys_that_are_given_are_used_and_not_started(
    environ: dict[str, str], empty_database_url: str, redis_url: str
) -> None:
    given = {"HUB_DATABASE_URL": empty_database_url, "HUB_REDIS_URL": redis_url, "HUB_MASTER_KEYS": "given"}
    with Stack(environ | given) as stack:
        assert stack.processes == []
        assert stack.key_file is None
        assert stack.environ.items() >= given.items()
        assert "HUB_MASTER_KEYS_FILE" not in stack.environ
    assert not (stack.data_dir / "master.key").exists()


def test_one_server_can_be_given_and_the_other_one_started(
    environ: dict[str, str], empty_database_url: str
) -> None:
    with Stack(environ | {"HUB_DATABASE_URL": empty_database_url}, durable=False) as stack:
        assert [process.child.name for process in stack.processes] == ["valkey"]


def test_a_second_hub_on_the_same_data_is_refused_and_leaves_the_first_one_alone(
    environ: dict[str, str], empty_database_url: str, redis_url: str
) -> None:
    given = environ | {"HUB_DATABASE_URL": empty_database_url, "HUB_REDIS_URL": redis_url}
    with Stack(given), pytest.raises(ConfigError, match="--data-dir"), Stack(given):
        pass


def test_the_key_stays_the_same_over_restarts(
    environ: dict[str, str], empty_database_url: str, redis_url: str
) -> None:
    given = environ | {"HUB_DATABASE_URL": empty_database_url, "HUB_REDIS_URL": redis_url}
    keys = set()
    for _ in range(2):
        with Stack(given) as stack:
            assert stack.key_file is not None
            keys.add(stack.key_file.read_text())
    assert len(keys) == 1
