"""A whole hub under measurement: embedded servers, the processes that `hub up` starts, one tenant with a key."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

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
        stack = self._closing.enter_context(Stack(given, durable=True))
        #: Postgres and Valkey.
        self.server_pids = [process.pid for process in stack.processes if process.pid]
        self.redis_url = stack.environ["HUB_REDIS_URL"]
        self.engine = make_engine(stack.environ["HUB_DATABASE_URL"], pool_size=2)
        self._closing.callback(self.engine.dispose)
        with self.engine.begin() as conn:
            tenant = open_tenant(conn, "benchmark")
            _, key = issue_key(conn, tenant.id, "benchmark", [Scope.ADMIN])
        self.headers = {"Authorization": f"Bearer {key.reveal()}"}
        children = hub_children(stack.settings, stack.environ, workers=_WORKERS, flower_login=None)
        self.processes = {child.name: Process(child, self.output) for child in children}
        self._closing.callback(self._stop_all)
        for process in self.processes.values():
            process.start()
        for name in self.processes:
            self._await(name)
        self.receiver = self._serve("tests.support.receiver")
        self.service = self._serve("tests.benchmarks.service")
        self.call("POST", "/endpoints", {"name": "receiver", "url": f"{self.receiver.url}/ok"})
        integration = {
            "name": "service",
            "base_url": self.service.url,
            "auth": {"mode": "bearer", "token": TOKEN},
            "operations": {"get_user": {"method": "GET", "path": "/users/{id}"}},
        }
        #: The integration's path in the API.
        self.integration = f"/integrations/{self.call('POST', '/integrations', integration)['id']}"

    def pick(self, full: int, quick: int) -> int:
        """The first in a full run, the second in a quick one."""
        return quick if self.quick else full

    def call(self, method: str, path: str, body: Any) -> Any:
        """Call the hub's API.

        Raises:
            requests.HTTPError: it refused.
        """
        url = f"http://127.0.0.1:{self.port}/v1{path}"
        answer = requests.request(method, url, json=body, headers=self.headers, timeout=30)
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

    def pid(self, name: str) -> int:
        """The id of a running process of the hub."""
        pid = self.processes[name].pid
        assert pid is not None
        return pid

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
