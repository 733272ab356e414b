"""A Valkey of our own: the doorbell, the limits and Celery's broker; reachable through a unix socket only.

It keeps an append-only file, so a restart finds the queues as they were a second ago. Nothing that must
not be lost lives here: Postgres is the ledger.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import redis

from hub.core.errors import ConfigError
from hub.embedded.account import private_directory
from hub.embedded.binaries import find_valkey
from hub.embedded.leftover import end_leftover
from hub.embedded.lock import DirectoryLock
from hub.embedded.process import Child, FileOutput, Output, Process
from hub.embedded.sockets import remove_socket_directory, socket_directory


class EmbeddedValkey:
    """One server under `<data_dir>/valkey`.

    Args:
        data_dir: the hub's data directory; made when missing.
        durable: False keeps everything in memory only (tests).
        output: where its log lines go; `<data_dir>/log/valkey.log` when None.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True, output: Output | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self._durable = durable
        self._output = output or FileOutput(self._data_dir / "log")
        self._lock = DirectoryLock(self._data_dir / "valkey.lock")
        self._process: Process | None = None
        self._socket = Path()

    @property
    def process(self) -> Process:
        """The running server, for a supervisor to watch; only after `start`."""
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        """The server's URL; only after `start`."""
        return f"unix://{self._socket}"

    def start(self) -> str:
        """Start the server and wait until it serves.

        Returns:
            Its URL.

        Raises:
            ConfigError: no binary, another hub runs on this directory, or the server does not start.
        """
        self._lock.acquire()
        try:
            self._process = Process(self._child(), self._output)
            self._process.start()
            if not self._process.wait_ready():
                code = self._process.returncode
                raise ConfigError(f"Valkey did not start (exit code {code}); its log says why.")
        except BaseException:
            self.stop()
            raise
        return self.url

    def ready(self) -> bool:
        """Whether the server answers."""
        return self._process is not None and self._process.ready()

    def stop(self) -> None:
        """Stop the server and give the directory free; harmless when it does not run."""
        if self._process:
            self._process.stop()
            self._process = None
            remove_socket_directory(self._socket.parent)
        self._lock.release()

    def _child(self) -> Child:
        home = private_directory(self._data_dir / "valkey", None)
        self._socket = socket_directory(home, None) / "valkey.sock"
        config = home / "valkey.conf"
        pid_file = home / "valkey.pid"

        def prepare() -> None:
            end_leftover(pid_file, marks=("-server", str(self._socket)), stop_signal=signal.SIGTERM)
            self._socket.unlink(missing_ok=True)
            config.write_text(
                "".join(f"{name} {value}\n" for name, value in self._settings(home, pid_file).items())
            )

        return Child(
            name="valkey",
            argv=[str(find_valkey()), str(config)],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            ready=self._answers,
            prepare=prepare,
            death_signal=signal.SIGTERM,
            # Reading a long append-only file takes its time.
            start_timeout=300.0,
            cwd=home,
            stop_timeout=3.5,
            foundation=True,
        )

    def _settings(self, home: Path, pid_file: Path) -> dict[str, str]:
        return {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "databases": "64",
            "dir": f'"{home}"',
            "pidfile": f'"{pid_file}"',
            "daemonize": "no",
            "loglevel": "warning",
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            # A full doorbell must say so; throwing queued messages away silently would only cost sweeps, but
            # throwing away half of a broker's bookkeeping confuses it.
            "maxmemory-policy": "noeviction",
        }

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=2)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):  # the second also covers "loading the dataset"
            return False
        finally:
            client.close()
