"""The room's way to a real Valkey, in real time or in a time that the test chooses."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from hub.embedded.binaries import find_valkey
from hub.limits.reach import CLOCK, Reach, connect
from tests.support.waiting import until

_VIRTUAL = "local now = tonumber(table.remove(ARGV))\n"


class VirtualReach(Reach):
    """Runs the same scripts, but they read the test's time instead of Redis' own."""

    now = 1_800_000_000.0

    def script(self, text: str) -> Any:
        assert CLOCK in text
        return super().script(text.replace(CLOCK, _VIRTUAL))

    def run(self, script: Any, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        return super().run(script, keys, [*args, round(self.now * 1_000_000)])


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as made:
        yield made


@pytest.fixture
def reach(client: redis.Redis) -> Reach:
    return Reach(client)


@pytest.fixture
def virtual(client: redis.Redis) -> VirtualReach:
    return VirtualReach(client)


class OwnValkey:
    """A server of the test's own, always at the same address, which the test may stop, start and pause."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [find_valkey(), "--port", "0", "--unixsocket", self._socket, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        with redis.Redis.from_url(self.url) as client:
            until(lambda: self._answers(client), what="the server's answer")

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    @staticmethod
    def _answers(client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def own_valkey() -> Iterator[OwnValkey]:
    directory = Path(tempfile.mkdtemp(prefix="hub-limits-"))
    server = OwnValkey(directory)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)
