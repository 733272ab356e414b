"""What a hub stands on: Postgres, Valkey, keys and the schema, ours or the user's.

Each server is started only when its address is not set: HUB_DATABASE_URL, HUB_REDIS_URL (the broker is
the same Valkey unless HUB_BROKER_URL is set). `hub up`, the demo, benchmarks and acceptance tests enter a
`Stack` and start processes with its `environ`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hub.core.settings import Settings, load_settings
from hub.db.migrate import upgrade
from hub.embedded.lock import DirectoryLock
from hub.embedded.postgres import EmbeddedPostgres
from hub.embedded.secretfile import ensure_secret
from hub.embedded.valkey import EmbeddedValkey
from hub.vault.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from hub.embedded.process import Output, Process


class Stack:
    """The servers and secrets of one data directory, for the time of a `with` block.

    Args:
        environ: the variables to start from, as a process would see them.
        output: where the servers' log lines go; files under `<data_dir>/log` when None.
        durable: False gives durability away for speed (tests).
        check: looks at the settings once the directory is ours, and before anything starts.

    Raises:
        ConfigError: on entering: wrong settings, a second hub on the same data, a server that does not start,
            what `check` raises.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        output: Output | None = None,
        durable: bool = True,
        check: Callable[[Settings], None] | None = None,
    ) -> None:
        self._given = dict(environ)
        self._output = output
        self._durable = durable
        self._check = check
        self._closing = ExitStack()
        #: Variables for every process of this hub; complete after entering.
        self.environ: dict[str, str] = {}
        #: The servers that were started here, in starting order.
        self.processes: list[Process] = []

    @property
    def settings(self) -> Settings:
        """The settings as a process with `environ` reads them."""
        return load_settings(self.environ)

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute."""
        return Path(self.environ["HUB_DATA_DIR"])

    @property
    def key_file(self) -> Path | None:
        """The file of the master key, when the key is not given from outside."""
        return None if load_settings(self._given).master_keys else self.data_dir / "master.key"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def _start(self) -> None:
        settings = load_settings(self._given)
        data_dir = settings.data_dir.resolve()
        make_data_directory(data_dir)
        self.environ = self._given | {"HUB_DATA_DIR": str(data_dir)}
        lock = DirectoryLock(data_dir / "hub.lock")
        lock.acquire()
        self._closing.callback(lock.release)
        if self._check is not None:
            self._check(settings)
        (data_dir / "run").mkdir(exist_ok=True)

        if settings.master_keys is None:
            key_file = data_dir / "master.key"
            ensure_secret(key_file, lambda: generate_key(os.urandom))
            self.environ["HUB_MASTER_KEYS_FILE"] = str(key_file)
        if settings.database_url is None:
            postgres = EmbeddedPostgres(data_dir, durable=self._durable, output=self._output)
            self._closing.callback(postgres.stop)
            self.environ["HUB_DATABASE_URL"] = postgres.start()
            self.processes.append(postgres.process)
        if settings.redis_url is None:
            valkey = EmbeddedValkey(data_dir, durable=self._durable, output=self._output)
            self._closing.callback(valkey.stop)
            self.environ["HUB_REDIS_URL"] = valkey.start()
            self.processes.append(valkey.process)

        url = self.settings.database_url
        assert url is not None
        upgrade(url.get_secret_value())


def make_data_directory(data_dir: Path) -> None:
    """Make the data directory; its content is private file by file.

    Under root others may pass through it (not list it): Postgres runs as another user and has to get in.
    """
    if not data_dir.exists():
        data_dir.mkdir(parents=True)
        data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
