"""The demo's outside services as processes: httpbin, and the receivers; and what they counted."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Self

import requests

from hub.core.errors import ConfigError
from hub.embedded.children import http_ready
from hub.embedded.process import Child, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from hub.demo.plan import Receiver

_PATIENCE = 10.0


class _Inherited:
    """Their rare lines go where ours go."""

    def open(self, name: str) -> int:  # noqa: ARG002 - one place for all
        return os.dup(2)


class Services:
    """Both processes, for the time of a `with` block.

    Args:
        ports: for the provider and for the receivers.
        run: tells this run's calls from those that an aborted one left behind.

    Raises:
        ConfigError: on entering: one of them did not start.
    """

    def __init__(self, ports: Sequence[int], run: str) -> None:
        provider, receivers = ports
        self.run = run
        self.provider_url = f"http://127.0.0.1:{provider}"
        self.receivers_url = f"http://127.0.0.1:{receivers}"
        # They are strangers: the hub's secrets are not theirs.
        env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        self._processes = [
            Process(
                _child("provider", (str(provider), run), http_ready("127.0.0.1", provider, "/seen"), env),
                _Inherited(),
            ),
            Process(
                _child("receivers", (str(receivers), run), http_ready("127.0.0.1", receivers, "/stats"), env),
                _Inherited(),
            ),
        ]
        self._http = requests.Session()
        self._http.trust_env = False

    def __enter__(self) -> Self:
        try:
            for process in self._processes:
                process.start()
            for process in self._processes:
                if not process.wait_ready():
                    raise ConfigError(f"The demo's {process.child.name} did not start.")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._http.close()
        for process in self._processes:
            process.stop()

    def hook_url(self, receiver: Receiver) -> str:
        """Where deliveries to a receiver are posted."""
        return f"{self.receivers_url}/hooks/{self.run}/{receiver.name}"

    def tell_secret(self, receiver: Receiver, secret: str) -> None:
        """Give a receiver the signing secret of its endpoint."""
        url = f"{self.receivers_url}/secrets/{receiver.name}"
        self._http.put(url, data=secret.encode(), timeout=_PATIENCE).raise_for_status()

    def receiver_stats(self) -> dict[str, dict[str, int]]:
        """Totals of each receiver: `calls`, `accepted` (different events), `unverified`."""
        stats: dict[str, dict[str, int]] = self._read(f"{self.receivers_url}/stats")
        return stats

    def seen_by(self, receiver: Receiver) -> Mapping[str, Mapping[str, int]]:
        """`calls` and `accepted` by webhook-id."""
        seen: dict[str, dict[str, int]] = self._read(f"{self.receivers_url}/seen/{receiver.name}")
        return seen

    def seen_by_provider(self) -> Mapping[str, int]:
        """Calls by their name."""
        seen: dict[str, int] = self._read(f"{self.provider_url}/seen")
        return seen

    def _read(self, url: str) -> Any:
        answer = self._http.get(url, timeout=_PATIENCE)
        answer.raise_for_status()
        return answer.json()


def _child(name: str, arguments: Sequence[str], ready: Callable[[], bool], env: Mapping[str, str]) -> Child:
    return Child(
        name=name,
        argv=[sys.executable, "-m", f"hub.demo.{name}", *arguments],
        env=env,
        ready=ready,
        stop_timeout=2.0,
    )
