"""The processes of a whole hub on one machine, as a pure function of the settings."""

from __future__ import annotations

import http.client
import signal
import sys
import time
from typing import TYPE_CHECKING

from hub.embedded.process import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hub.core.settings import Settings

#: Worker pools by name, each with the queues that it serves.
POOLS = {
    "execute": "hub.execute",
    "deliver": "hub.deliver",
    "system": "hub.system,hub.intake,hub.bulk",
}
#: The system pool runs threads: its tasks are short database work beside one long health-check pump, and a sweep must
#: never wait behind that pump.
_POOL_OPTIONS = {"system": ("-P", "threads", "-c", "6")}
_CELERY = ("-m", "celery", "--quiet", "-A", "workers.app")
#: Celery's six lines about root; a container runs as root, and its tasks carry JSON alone.
_NO_ROOT_WARNING = "ignore:You're running the worker with superuser"
_HEARTBEAT_SECONDS = 15.0


def hub_children(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    workers: Mapping[str, int],
    flower_login: str | None,
    python: str = sys.executable,
) -> list[Child]:
    """Every process of the hub, in starting order.

    Args:
        settings: the hub's settings, with an absolute `data_dir`.
        environ: the variables that all of them get.
        workers: pool name (see `POOLS`) to its number of worker processes; a pool with 0 is left out.
        flower_login: `user:password` for Flower; None leaves Flower out.
        python: the interpreter.
    """
    env = {**environ, "PYTHONUNBUFFERED": "1"}
    run = settings.data_dir / "run"
    children = [
        Child(
            name="api",
            argv=[python, "-m", "hub.api"],
            env=env,
            ready=http_ready(settings.api_host, settings.api_port, "/readyz"),
        )
    ]
    children += [
        _worker(pool, POOLS[pool], count, env, run / f"{pool}.heartbeat", python)
        for pool, count in workers.items()
        if count
    ]
    children.append(
        Child(
            name="beat",
            argv=[
                python, *_CELERY, "beat", "-S", "workers.scheduler.LeaderScheduler", "-l", "WARNING",
                "--pidfile=", "-s", str(run / "beat"),
            ],
            env=env,
        )
    )  # fmt: skip
    if flower_login is not None:
        children.append(
            Child(
                name="flower",
                argv=[
                    python, *_CELERY, "flower", f"--address={settings.flower_host}",
                    f"--port={settings.flower_port}", "--read-only", "--logging=warning",
                ],
                # The password stays out of the command line, which every user of the machine can read.
                env=env | {"FLOWER_BASIC_AUTH": flower_login},
                ready=http_ready(settings.flower_host, settings.flower_port, "/healthcheck"),
            )
        )  # fmt: skip
    return children


def _worker(
    pool: str, queues: str, count: int, env: Mapping[str, str], heartbeat: Path, python: str
) -> Child:
    return Child(
        name=pool,
        argv=[
            python, *_CELERY, "worker", "-Q", queues, "-c", str(count), "-n", f"{pool}@%h",
            "--without-gossip", "--without-mingle", "-l", "WARNING", *_POOL_OPTIONS.get(pool, ()),
        ],
        env={
            **env,
            "HUB_HEARTBEAT_FILE": str(heartbeat),
            "PYTHONWARNINGS": _NO_ROOT_WARNING,
        },
        ready=lambda: heartbeat_is_fresh(heartbeat, time.time()),
        # The heartbeat of a predecessor says nothing about this one.
        prepare=lambda: heartbeat.unlink(missing_ok=True),
        stop_signal=signal.SIGTERM,
    )  # fmt: skip


def heartbeat_is_fresh(path: Path, now: float) -> bool:
    """Whether a worker touched its heartbeat file lately.

    Args:
        path: the file.
        now: seconds since the epoch.
    """
    try:
        return now - path.stat().st_mtime < _HEARTBEAT_SECONDS
    except OSError:
        return False


def http_ready(host: str, port: int, path: str) -> Callable[[], bool]:
    """A readiness check: GET answers 200 within two seconds.

    Args:
        host: the address that the server listens on; a wildcard is asked on loopback.
        port: its port.
        path: what to get.
    """
    address = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104

    def ready() -> bool:
        connection = http.client.HTTPConnection(address, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
