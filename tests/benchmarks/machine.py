"""Facts about the machine and the software that a report is worth nothing without."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import redis
from sqlalchemy import Engine, text

_PACKAGES = ("celery", "kombu", "psycopg", "pycurl", "requests", "sqlalchemy", "uvicorn", "uvloop")


def facts(engine: Engine, redis_url: str) -> dict[str, Any]:
    """Collect them.

    Args:
        engine: the database of the run.
        redis_url: the broker of the run.
    """
    with engine.connect() as conn:
        server = str(conn.scalar(text("SHOW server_version"))).split()[0]
    with redis.Redis.from_url(redis_url) as client:
        info: Any = client.info("server")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": cores(),
        "machine": f"{platform.system()} {platform.machine()}",
        "load at start": round(os.getloadavg()[0], 2),
        "priority of load generator and receivers": "raised" if os.geteuid() == 0 else "usual",
        "python": platform.python_version(),
        "postgres": server,
        "valkey": info.get("valkey_version", info.get("redis_version")),
        **{name: version(name) for name in _PACKAGES},
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
