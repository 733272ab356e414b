"""A whole hub under measurement: embedded servers, the processes that `hub up` starts, a tenant for each scenario."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from sqlalchemy import Row, text

from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.db.engine import make_engine
from hub.embedded.children import hub_children
from hub.embedded.process import FileOutput, Process
from hub.embedded.stack import Stack
from tests.benchmarks import ledger
from tests.benchmarks.program import LoggedServer, NoResult
from tests.benchmarks.service import TOKEN

_WORKERS = {"execute": 1, "deliver": 1, "system": 1}
_IMPORT = 1000


@dataclass(frozen=True, slots=True)
class Audience:
    """Endpoints of one tenant. Each takes a type of its own, and all of them take `everybody`.

    Args:
        headers: with the tenant's key.
        path: the receiver sees their requests below it.
        ids: the endpoints'.
        types: of each endpoint, the event type that goes to it alone.
        everybody: the event type that goes to all of them.
    """

    headers: dict[str, str]
    path: str
    ids: list[str]
    types: list[str]
    everybody: str


class Bench:
    """The hub, the receiver and the outside service of one run, for the time of a `with` block.

    Args:
        directory: empty; short, because unix sockets go below it.
        quick: a shortened run.
    """

    def __init__(self, directory: Path, *, quick: bool) -> None:
        self.directory = directory
        self.quick = quick
        #: What the hub did in this run, for the baseline to be compared with; 0 when it was not measured.
        self.deliveries_per_second = 0.0
        self.delivery_cpu_ms = 0.0
        self.executions_per_second = 0.0
        self.output = FileOutput(directory / "log")
        self._closing = ExitStack()

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
        self.port = _free_port()
        given = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        given |= {
            "HUB_DATA_DIR": str(self.directory),
            "HUB_API_PORT": str(self.port),
            "HUB_EGRESS_ALLOW": "127.0.0.0/8",
            "HUB_EGRESS_PORTS": "0",
            "HUB_LOG_LEVEL": "WARNING",
        }
        stack = self._stack = self._closing.enter_context(Stack(given, durable=True))
        self._load_statement_counter(stack)
        #: Postgres and Valkey.
        self.server_pids = [process.pid for process in stack.processes if process.pid]
        self.redis_url = stack.environ["HUB_REDIS_URL"]
        self.engine = make_engine(stack.environ["HUB_DATABASE_URL"], pool_size=2)
        self._closing.callback(self.engine.dispose)
        children = hub_children(stack.settings, stack.environ, workers=_WORKERS, flower_login=None)
        self.processes = {child.name: Process(child, self.output) for child in children}
        self._closing.callback(self._stop_all)
        for process in self.processes.values():
            process.start()
        for name in self.processes:
            self._await(name)
        self.receiver = self._serve("tests.support.receiver")
        self.service = self._serve("tests.benchmarks.service")
        #: The tenant of scenarios that need one endpoint.
        self.headers = self.open_tenant("benchmark")
        self.home = self.audience("home", 1, headers=self.headers)
        integration = {
            "name": "service",
            "base_url": self.service.url,
            "auth": {"mode": "bearer", "token": TOKEN},
            "operations": {
                "get_user": {"method": "GET", "path": "/users/{id}"},
                "get_kept": {"method": "GET", "path": "/kept/{id}", "cache_seconds": 60},
                "get_slow": {"method": "GET", "path": "/slow/5/{id}"},
            },
        }
        #: The integration's path in the API.
        self.integration = f"/integrations/{self.call('POST', '/integrations', integration)['id']}"

    def pick(self, full: int, quick: int) -> int:
        """The first in a full run, the second in a quick one."""
        return quick if self.quick else full

    def open_tenant(self, name: str) -> dict[str, str]:
        """A new tenant: the headers of its requests."""
        with self.engine.begin() as conn:
            tenant = open_tenant(conn, name)
            _, key = issue_key(conn, tenant.id, "benchmark", [Scope.ADMIN])
        return {"Authorization": f"Bearer {key.reveal()}"}

    def audience(
        self,
        name: str,
        count: int,
        *,
        answer: str = "/ok",
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Audience:
        """Make endpoints at the receiver.

        Args:
            name: of the endpoints and their event types.
            count: how many.
            answer: what the receiver does; see `tests.support.receiver`.
            headers: of an existing tenant; None makes one of this name.
            fields: further fields of each endpoint.
        """
        headers = headers or self.open_tenant(name)
        types = [f"{name}.n{number}" for number in range(count)]
        everybody = f"{name}.all"
        specs = [
            {
                "name": f"{name}-{number}",
                "url": f"{self.receiver.url}{answer}/{name}/{number}",
                "event_types": [type_, everybody],
                **fields,
            }
            for number, type_ in enumerate(types)
        ]
        ids: list[str] = []
        for start in range(0, count, _IMPORT):
            body = {"endpoints": specs[start : start + _IMPORT]}
            report = self.call("POST", "/endpoints/import", body, headers=headers)
            ids += [one["id"] for one in report["data"]]
        return Audience(headers, f"{answer}/{name}/", ids, types, everybody)

    def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        """Call the hub's API.

        Args:
            method: such as `POST`.
            path: below `/v1`.
            body: sent as JSON.
            headers: of another tenant than the first.

        Raises:
            requests.HTTPError: it refused.
        """
        url = f"http://127.0.0.1:{self.port}/v1{path}"
        answer = requests.request(method, url, json=body, headers=headers or self.headers, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """Processes of the hub are stopped in good order for the time of a `with` block."""
        for name in names:
            self.processes[name].stop()
        try:
            yield
        finally:
            for name in names:
                self.processes[name].start()
                self._await(name)

    @contextmanager
    def worker(self, name: str, *, processes: int = 1, **settings: str) -> Iterator[None]:
        """Another worker runs in the place of a stopped one, for the time of a `with` block.

        Args:
            name: the pool.
            processes: its `-c`.
            settings: `HUB_*` variables of its own.
        """
        environ = {**self._stack.environ, **settings}
        children = hub_children(self._stack.settings, environ, workers={name: processes}, flower_login=None)
        usual = self.processes[name]
        process = self.processes[name] = Process(next(c for c in children if c.name == name), self.output)
        try:
            process.start()
            self._await(name)
            yield
        finally:
            process.stop()
            self.processes[name] = usual

    def pid(self, name: str) -> int:
        """The id of a running process of the hub."""
        pid = self.processes[name].pid
        assert pid is not None
        return pid

    def fresh(self) -> None:
        """Start a scenario: nothing is left of the one before."""
        self.wait_idle(seconds=20)
        with self.engine.begin() as conn:
            ledger.clear(conn)
        self.receiver.mark()

    def abandon(self) -> None:
        """Forget work that would go on for long, calls in flight included."""
        with self.stopped("deliver"), self.engine.begin() as conn:
            ledger.clear(conn)

    def wait_recorded(self, count: int, *, seconds: float) -> Row[Any]:
        """Wait until so many deliveries are recorded; see `ledger.finished_deliveries`.

        Raises:
            NoResult: they were not in time, or there are others, or not one attempt for each.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self.engine.connect() as conn:
                rows = ledger.finished_deliveries(conn)
            if rows.total == rows.done == rows.attempts == count:
                return rows
            if time.monotonic() > deadline:
                raise NoResult(f"{count} deliveries, but after {seconds:g} s {rows}")
            time.sleep(0.1)

    def wait_idle(self, *, seconds: float) -> None:
        """Wait until nothing is due and nothing is being worked on.

        Raises:
            NoResult: that did not happen in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self.engine.connect() as conn:
                if not ledger.is_busy(conn):
                    return
            if time.monotonic() > deadline:
                raise NoResult(f"work is left after {seconds:g} s")
            time.sleep(0.1)

    def _load_statement_counter(self, stack: Stack) -> None:
        """Restart Postgres with pg_stat_statements, which counts nothing until it is told to."""
        engine = make_engine(stack.environ["HUB_DATABASE_URL"], pool_size=1)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"))
            conn.execute(text("ALTER SYSTEM SET pg_stat_statements.track = 'none'"))
        engine.dispose()
        postgres = stack.processes[0]
        postgres.stop()
        postgres.start()
        if not postgres.wait_ready():
            raise NoResult("Postgres did not start again")
        with engine.begin() as conn:
            conn.execute(text("CREATE EXTENSION pg_stat_statements"))
        engine.dispose()

    def _await(self, name: str) -> None:
        if not self.processes[name].wait_ready():
            log = self.directory / "log" / f"{name}.log"
            raise NoResult(f"{name} did not start: {log.read_text()[-500:]}")

    def _serve(self, module: str) -> LoggedServer:
        server = LoggedServer(module, self.directory, self.output)
        self._closing.callback(server.stop)
        return server

    def _stop_all(self) -> None:
        running = [process for process in self.processes.values() if process.alive]
        for process in running:
            process.ask_to_stop()
        deadline = time.monotonic() + 6
        for process in running:
            process.wait(deadline)
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
