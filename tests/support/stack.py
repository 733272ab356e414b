"""A whole hub of real processes for acceptance and fault tests: the servers and children that `hub up` starts.

Promises: when `RunningHub` is entered everything serves; when it is left nothing runs any more, whatever happened
in between. Every process can be stopped, killed, paused and started again by name; what each one printed is in
a file of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.client import CeleryClient, HttpClient
from hub.core.ids import Kind, format_id
from hub.db.engine import make_engine
from hub.embedded.children import POOLS, hub_children
from hub.embedded.process import Child, FileOutput, Process
from hub.embedded.stack import Stack
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

#: The embedded Postgres asks for no password, so any will do; tests look for this one where it must not be.
DATABASE_PASSWORD = "canary-database-Zq7XwV"

#: Nothing waits long for anything: what a deployment would set to minutes takes seconds here.
FAST = {
    "HUB_EGRESS_ALLOW": "127.0.0.0/8,::1/128",
    "HUB_EGRESS_PORTS": "0",
    "HUB_LEADER_LEASE_SECONDS": "5",
    "HUB_SWEEP_INTERVAL_SECONDS": "0.5",
    "HUB_WORKER_GRACE_SECONDS": "1",
}
#: For tests that kill workers: their leases end soon after them, and what they can have in flight is known.
BREAKABLE = {"HUB_LEASE_SECONDS": "3", "HUB_DELIVER_IN_FLIGHT": "100", "HUB_EXECUTE_IN_FLIGHT": "20"}

_START_SECONDS = 60.0
_STOP_SECONDS = 12.0


class RunningHub:
    """A hub with one tenant and a key for everything.

    Args:
        overrides: settings on top of `FAST`, by the name of their variable.
        durable: False gives the servers' durability away for speed.
        flower_login: `user:password` to start Flower with; None leaves it out.
    """

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        *,
        durable: bool = False,
        flower_login: str | None = None,
    ) -> None:
        self._overrides = dict(overrides or {})
        self._durable = durable
        self._flower_login = flower_login
        self._closing = ExitStack()
        #: Every process by name: postgres, valkey, api, execute, deliver, system, beat, flower.
        self.processes: dict[str, Process] = {}
        #: The variables that every process of this hub gets.
        self.environ: dict[str, str] = {}

    # -- life ------------------------------------------------------------------------------------------------

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
        self.directory = Path(tempfile.mkdtemp(prefix="hub-stack-"))
        self._closing.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o711)  # under root Postgres runs as another user
        self._output = FileOutput(self.directory / "log")
        # Processes start often here, and compiling their modules anew would be most of each start.
        dropped = ("HUB_", "PYTHONDONTWRITEBYTECODE")
        given = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        given |= {
            **FAST,
            "HUB_DATA_DIR": str(self.directory / "data"),
            "HUB_API_PORT": str(free_port()),
            "HUB_FLOWER_PORT": str(free_port()),
            **self._overrides,
        }
        stack = self._closing.enter_context(Stack(given, output=self._output, durable=self._durable))
        url = make_url(stack.environ["HUB_DATABASE_URL"]).set(password=DATABASE_PASSWORD)
        self.environ = stack.environ | {"HUB_DATABASE_URL": url.render_as_string(hide_password=False)}
        self._stack = stack
        self.settings = stack.settings
        self.processes = {process.child.name: process for process in stack.processes}
        self._closing.callback(self._stop_children)

        children = hub_children(
            self.settings,
            self.environ,
            workers=dict.fromkeys(POOLS, 1),
            flower_login=self._flower_login,
            python=sys.executable,
        )
        for child in children:
            self.add(child)
        self.tenant_id, self.tenant, self.api_key = self._make_tenant()
        self._wait_for([child.name for child in children])
        until(lambda: self.leader, seconds=_START_SECONDS, what="a leading beat")

    def add(self, child: Child) -> Process:
        """Start one more process; it is stopped with the others."""
        process = Process(child, self._output)
        process.start()
        self.processes[child.name] = process
        return process

    def drop(self, name: str) -> None:
        """Kill a process that was added, and forget it."""
        self.processes.pop(name).kill()

    def _wait_for(self, names: Sequence[str]) -> None:
        waiting = set(names)
        deadline = time.monotonic() + _START_SECONDS
        while waiting:
            for name in sorted(waiting):
                process = self.processes[name]
                if process.ready():
                    waiting.discard(name)
                assert process.alive, f"{name} ended before it was ready:\n{self.log(name)}"
            assert time.monotonic() < deadline, f"not ready: {', '.join(sorted(waiting))}\n" + "\n".join(
                self.log(name) for name in sorted(waiting)
            )
            time.sleep(0.02)

    def _stop_children(self) -> None:
        """Kill: the data goes with the directory, and how a hub ends in good order has tests of its own."""
        for process in self.processes.values():
            if not process.child.foundation:
                process.kill()
            elif process.alive:
                self.resume(process.child.name)

    def _make_tenant(self) -> tuple[Any, str, str]:
        with self.engine.begin() as conn:
            tenant = open_tenant(conn, "acme")
            _, key = issue_key(conn, tenant.id, "tests", list(Scope))
        return tenant.id, format_id(Kind.TENANT, tenant.id), key.reveal()

    # -- addresses -------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.settings.api_port}"

    @property
    def flower_url(self) -> str:
        """Where Flower is, if it was asked for."""
        return f"http://127.0.0.1:{self.settings.flower_port}"

    @property
    def database_url(self) -> str:
        """The hub's database."""
        return self.environ["HUB_DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        """The hub's Redis."""
        return self.environ["HUB_REDIS_URL"]

    @property
    def broker_url(self) -> str:
        """Celery's broker, in kombu's spelling."""
        url = self.settings.celery_broker_url
        assert url is not None
        return url

    @cached_property
    def engine(self) -> Engine:
        """The test's own engine on the hub's database."""
        made = make_engine(self.database_url, application_name="hub tests")
        self._closing.callback(made.dispose)
        return made

    @cached_property
    def redis(self) -> redis.Redis:
        """The test's own client of the hub's Redis."""
        made = redis.Redis.from_url(self.redis_url, socket_timeout=5)
        self._closing.callback(made.close)
        return made

    @cached_property
    def http(self) -> HttpClient:
        """The HTTP door."""
        made = HttpClient(self.url, self.api_key)
        self._closing.callback(made.close)
        return made

    @cached_property
    def celery(self) -> CeleryClient:
        """The Celery door."""
        made = CeleryClient(self.broker_url, self.tenant)
        self._closing.callback(made.close)
        return made

    # -- faults ----------------------------------------------------------------------------------------------

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a process that does not run."""
        self.processes[name].start()
        if wait:
            self._wait_for([name])

    def stop(self, *names: str) -> None:
        """Ask processes to end in good order, once and all at a time, and wait for that."""
        for name in names:
            self.processes[name].ask_to_stop()
        for name in names:
            process = self.processes[name]
            ended = process.wait(time.monotonic() + _STOP_SECONDS)
            process.kill()
            assert ended, f"{name} did not end within {_STOP_SECONDS:g} s:\n{self.log(name)}"

    def restart(self, name: str) -> None:
        """Stop a process in good order and start it again."""
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL a process and all its children at once."""
        self.processes[name].kill()

    def heal(self) -> None:
        """Start again whatever a failed test left dead or hanging."""
        for name, process in self.processes.items():
            if process.alive:
                self.resume(name)
            else:
                process.kill()
                self.start(name)

    def pause(self, name: str) -> None:
        """SIGSTOP: it hangs, and whoever talks to it waits."""
        os.kill(self._pid(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """End a pause."""
        os.kill(self._pid(name), signal.SIGCONT)

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """These processes do not run during a `with` block, and serve again after it."""
        try:
            self.stop(*names)
            yield
        finally:
            for name in names:
                self.start(name, wait=False)
            self._wait_for(names)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """This process hangs during a `with` block."""
        self.pause(name)
        try:
            yield
        finally:
            self.resume(name)

    def _pid(self, name: str) -> int:
        pid = self.processes[name].pid
        assert pid is not None
        return pid

    # -- looking ---------------------------------------------------------------------------------------------

    def log(self, name: str) -> str:
        """What a process has printed so far."""
        path = self.directory / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def query(self, statement: str, **parameters: Any) -> Any:
        """The first value of the first row of a query on the hub's database."""
        with self.engine.connect() as conn:
            return conn.scalar(text(statement), parameters)

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """All rows of a query on the hub's database."""
        with self.engine.connect() as conn:
            return list(conn.execute(text(statement), parameters))

    @property
    def leader(self) -> str | None:
        """The beat that leads now, as `host:pid:token`."""
        leader: str | None = self.query("SELECT owner FROM hub.leader WHERE name = 'beat' AND until > now()")
        return leader


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
