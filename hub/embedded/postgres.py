"""A Postgres of our own: one cluster in the data directory, reachable through a unix socket only.

Promises: what it has committed survives a power cut (fsync and synchronous_commit are on unless the
caller gives durability away), nobody but this user and root can connect, and one server at most runs on a
data directory. Under root it runs as another user (`hub.embedded.account`).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg

from hub.core.errors import ConfigError
from hub.embedded.account import private_directory, reachable_install, server_account
from hub.embedded.binaries import find_postgres, version
from hub.embedded.leftover import end_leftover
from hub.embedded.lock import DirectoryLock
from hub.embedded.process import Child, FileOutput, Output, Process
from hub.embedded.sockets import remove_socket_directory, socket_directory

_PORT = 5432  # names the socket file; no TCP port is opened
_DATABASE = "hub"
_BUILTIN_LOCALE_SINCE = 17
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_HEADER = "# Written by the hub at every start; put your own settings into custom.conf beside this file.\n"

#: A small production node: 2 cores, 4 GB, an SSD.
_SETTINGS = {
    "listen_addresses": "''",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    # Daily partitions: a query over a month locks each partition and its indexes.
    "max_locks_per_transaction": "256",
    # Short statements on many partitions: compiling costs more than it saves.
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Ledger rows are updated a few times within seconds: clean up early and often.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_analyze_scale_factor": "0.05",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_destination": "'stderr'",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "'%m [%p] '",
}
_GIVE_DURABILITY_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One cluster under `<data_dir>/postgres`.

    Args:
        data_dir: the hub's data directory; made when missing.
        durable: False turns fsync off (tests): faster, and a power cut may destroy everything.
        output: where its log lines go; `<data_dir>/log/postgres.log` when None.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True, output: Output | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self._durable = durable
        self._output = output or FileOutput(self._data_dir / "log")
        self._lock = DirectoryLock(self._data_dir / "postgres.lock")
        self._process: Process | None = None
        self._socket_dir = Path()

    @property
    def process(self) -> Process:
        """The running server, for a supervisor to watch; only after `start`."""
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        """The database's URL; only after `start`."""
        return self._url(_DATABASE)

    def start(self) -> str:
        """Make the cluster if there is none, start the server, wait until it serves, make the database.

        Returns:
            The database's URL.

        Raises:
            ConfigError: no binaries, another hub runs on this directory, or the server does not start.
        """
        self._lock.acquire()
        try:
            self._process = Process(self._child(), self._output)
            self._process.start()
            if not self._process.wait_ready():
                code = self._process.returncode
                raise ConfigError(f"Postgres did not start (exit code {code}); its log says why.")
            self._make_database()
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
            remove_socket_directory(self._socket_dir)
        self._lock.release()

    def _child(self) -> Child:
        account = server_account(self._data_dir / "postgres")
        home = private_directory(self._data_dir / "postgres", account)
        data = home / "data"
        bin_directory = reachable_install(find_postgres(major=_major(data)), account)
        self._socket_dir = socket_directory(home, account)
        env = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ} | {"LC_ALL": "C"}
        if not data.exists():
            _init_cluster(bin_directory, home, account, env, durable=self._durable)

        def prepare() -> None:
            end_leftover(data / "postmaster.pid", marks=("postgres", str(data)), stop_signal=signal.SIGINT)
            for file in self._socket_dir.iterdir():
                file.unlink()  # its lock file would name the same stale pid
            self._configure(data, account)

        return Child(
            name="postgres",
            argv=[str(bin_directory / "postgres"), "-D", str(data)],
            env=env,
            ready=self._answers,
            prepare=prepare,
            # SIGINT is Postgres's fast shutdown; SIGTERM would wait for clients for ever.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            # Replaying the write-ahead log after a crash takes its time.
            start_timeout=600.0,
            account=account,
            cwd=home,
            stop_timeout=3.5,
            foundation=True,
        )

    def _configure(self, data: Path, account: tuple[int, int] | None) -> None:
        settings = _SETTINGS | {"unix_socket_directories": f"'{self._socket_dir}'"}
        if not self._durable:
            settings |= _GIVE_DURABILITY_AWAY
        user = pwd.getpwuid(os.geteuid()).pw_name
        files = {
            "hub.conf": "".join(f"{name} = {value}\n" for name, value in settings.items()),
            "pg_hba.conf": "local all all peer map=hub\n",
            "pg_ident.conf": "".join(f'hub "{name}" hub\n' for name in sorted({user, "root"})),
        }
        (data / "custom.conf").touch()
        for name, text in files.items():
            (data / name).write_text(_HEADER + text)
        if account:
            for name in (*files, "custom.conf"):
                os.chown(data / name, *account)

    def _url(self, database: str) -> str:
        return f"postgresql://hub@/{database}?host={quote(str(self._socket_dir), safe='/')}&port={_PORT}"

    def _answers(self) -> bool:
        # Asked before the server says so, it would log each refusal as a fatal error.
        if not _says_ready(self._data_dir / "postgres" / "data" / "postmaster.pid"):
            return False
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_database(self) -> None:
        """Create the hub's database on first start; looks it up by name in pg_database's unique index."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,)
            ).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {_DATABASE}")


def _says_ready(pid_file: Path) -> bool:
    """Whether the last line that the server wrote into its pid file is `ready`."""
    try:
        return pid_file.read_text().rstrip().endswith("ready")
    except FileNotFoundError:
        return False


def _major(data: Path) -> int | None:
    """The major version that made a cluster; None when there is none yet."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _init_cluster(
    bin_directory: Path, home: Path, account: tuple[int, int] | None, env: dict[str, str], *, durable: bool
) -> None:
    """Run initdb beside the final place and rename: a cluster that was half made is never taken for one."""
    half = home / "half"
    shutil.rmtree(half, ignore_errors=True)
    locale = ["--no-locale", "--encoding=UTF8"]
    if (version(bin_directory / "postgres") or (0,))[0] >= _BUILTIN_LOCALE_SINCE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    auth = ["--username", "hub", "--auth-local=peer", "--auth-host=reject"]
    uid, gid = account or (None, None)
    answer = subprocess.run(
        [bin_directory / "initdb", "--pgdata", half, *auth, *locale, *([] if durable else ["--no-sync"])],
        env=env,
        cwd=home,
        user=uid,
        group=gid,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise ConfigError(f"initdb failed: {answer.stderr.strip()}")
    with (half / "postgresql.conf").open("a") as file:
        file.write("\ninclude 'hub.conf'\ninclude 'custom.conf'\n")
    half.rename(home / "data")
