"""Name resolution that keeps a deadline.

`getaddrinfo` cannot be interrupted, so each lookup has a thread of its own and the caller stops waiting in
time. A bounded pool is no choice: a few names whose servers never answer would block everybody else's
lookups.
"""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.net.cancellation import Cancelled

if TYPE_CHECKING:
    from hub.net.cancellation import Cancellation


@dataclass(frozen=True, slots=True)
class Address:
    """One answer: what `socket.socket` and `connect` need, and the IP address as text."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The IP address, without port."""
        return str(self.sockaddr[0])


def lookup(
    host: str, port: int, timeout: float | None = None, cancellation: Cancellation | None = None
) -> list[Address]:
    """Every address of a name, in the order in which to try them.

    Args:
        host: DNS name or IP address.
        port: copied into the answers.
        timeout: seconds to wait; None waits as long as the system does.
        cancellation: ends the waiting, when there is a timeout.

    Raises:
        OSError: `socket.gaierror` when there is no answer, `TimeoutError` when it did not come in time.
        Cancelled: by `cancellation`.
    """
    if timeout is None:
        return _lookup(host, port)
    answers: queue.SimpleQueue[list[Address] | OSError | Cancelled] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(_lookup(host, port))
        except OSError as error:
            answers.put(error)

    def cancel() -> None:
        answers.put(Cancelled())

    threading.Thread(target=run, name="hub-dns", daemon=True).start()
    try:
        with cancellation.closing(cancel) if cancellation is not None else nullcontext():
            answer = answers.get(timeout=max(timeout, 0))
    except queue.Empty:
        raise TimeoutError(f"no answer for {host} in time") from None
    if isinstance(answer, (OSError, Cancelled)):
        raise answer
    return answer


def _lookup(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        # An over-long or empty label fails in the codec, before any lookup.
        raise socket.gaierror(socket.EAI_NONAME, "not a valid name") from None
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
