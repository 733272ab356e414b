"""What `hub up` leaves for other commands on this machine: a private file that says how to reach the hub.

`<data_dir>/run/hub.json`, mode 0600, there for as long as the hub runs. A file that anybody else could have
read or written, or whose hub is gone, counts as none.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

_DEFAULT_DATA_DIR = ".hub"
#: Variables that say which hub is meant, with the field of the file that must then agree.
_SERVERS = {"HUB_DATABASE_URL": "database_url", "HUB_REDIS_URL": "redis_url", "HUB_BROKER_URL": "broker_url"}


@dataclass(frozen=True, slots=True)
class LocalHub:
    """A hub that runs on this machine.

    Args:
        pid: the process of `hub up`.
        api_url: where its API is.
        database_url: its Postgres.
        redis_url: its Redis.
        broker_url: its broker, when that is another one.
        master_keys_file: where its keys are, when `hub up` made them.
        demo_api_key: a key of the demo's tenant, once there is one.
        demo_tenant: the name of that tenant.
        egress_allow: its HUB_EGRESS_ALLOW.
        egress_ports: its HUB_EGRESS_PORTS.
    """

    pid: int
    api_url: str
    database_url: str
    redis_url: str
    broker_url: str | None = None
    master_keys_file: str | None = None
    demo_api_key: str | None = None
    demo_tenant: str | None = None
    egress_allow: Sequence[str] = field(default_factory=list)
    egress_ports: Sequence[int] = field(default_factory=list)


def path_in(data_dir: Path) -> Path:
    """The file of a data directory."""
    return data_dir / "run" / "hub.json"


def write(data_dir: Path, hub: LocalHub) -> None:
    """Leave the file, complete or not at all."""
    path = path_in(data_dir)
    half = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(asdict(hub), file)
    half.replace(path)


def remove(data_dir: Path) -> None:
    """The hub stops."""
    path_in(data_dir).unlink(missing_ok=True)


def read(data_dir: Path) -> LocalHub | None:
    """The hub that runs on this data directory, if this user may know."""
    try:
        with path_in(data_dir).open() as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                return None
            found = json.load(file)
        known = {one.name for one in fields(LocalHub)}
        hub = LocalHub(**{name: value for name, value in found.items() if name in known})
        os.kill(hub.pid, 0)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return hub


def fill(environ: MutableMapping[str, str]) -> LocalHub | None:
    """Complete the environment of a command from the hub that runs here.

    What is set wins. Where it names other servers, another hub is meant and nothing is taken: half of one hub
    and half of another must not be migrated or rotated together. The key goes to no other URL than its own.

    Args:
        environ: `os.environ`, before the settings are read.

    Returns:
        The hub whose demo's key was taken; None when none was.
    """
    lender = None
    hub = read(Path(environ.get("HUB_DATA_DIR") or _DEFAULT_DATA_DIR))
    if hub is None:
        return None
    if environ.get("HUB_URL", hub.api_url).rstrip("/") == hub.api_url.rstrip("/"):
        environ["HUB_URL"] = hub.api_url
        if hub.demo_api_key and not environ.get("HUB_API_KEY"):
            environ["HUB_API_KEY"] = hub.demo_api_key
            lender = hub
    given = {name: environ[name] for name in _SERVERS if environ.get(name)}
    if any(value != getattr(hub, _SERVERS[name]) for name, value in given.items()):
        return lender
    if any(environ.get(f"{name}_FILE") for name in _SERVERS):
        return lender
    for name, known_as in _SERVERS.items():
        if value := getattr(hub, known_as):
            environ[name] = value
    if hub.master_keys_file and not (environ.get("HUB_MASTER_KEYS") or environ.get("HUB_MASTER_KEYS_FILE")):
        environ["HUB_MASTER_KEYS_FILE"] = hub.master_keys_file
    return lender
