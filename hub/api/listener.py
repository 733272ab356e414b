"""The SQL door's doorbell: `NOTIFY hub_bell, '<task>'` in another service's transaction becomes a ring here.

Postgres sends a notification when that transaction commits, so the rows are there when the pump looks. A
notification that comes while nobody listens is lost, which costs a second or two: the sweep finds the rows.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import psycopg

from hub.api import store
from hub.queue.bell import PUMPS
from hub.queue.contracts import TaskName

if TYPE_CHECKING:
    from typing import Any

    from hub.web.services import Ring

log = logging.getLogger(__name__)

CHANNEL = "hub_bell"
#: Longest time that `stop` waits for the thread to notice, in seconds.
_POLL_SECONDS = 0.5
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0


class Listener:
    """A thread with a connection of its own.

    Args:
        url: a `postgresql://` URL.
        ring: the doorbell; must not block.
    """

    def __init__(self, url: str, ring: Ring) -> None:
        self._url = url
        self._ring = ring
        self._stop = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen; returns at once, whether the database answers or not."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits up to 5 s."""
        self._stop.set()
        self._thread.join(5)

    def wait_until_listening(self, timeout: float) -> bool:
        """Wait until notifications arrive here.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether they do.
        """
        return self._listening.wait(timeout)

    def _run(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    store.listen(connection, CHANNEL)
                    self._listening.set()
                    wait = _FIRST_WAIT_SECONDS
                    self._listen(connection)
            except psycopg.Error as error:
                log.warning(
                    "The SQL doorbell is not heard (%s); the sweep finds its rows.", type(error).__name__
                )
                self._listening.clear()
                self._stop.wait(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=5,
            application_name="hub listener",
            keepalives_idle=30,
        )

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            for notification in connection.notifies(timeout=_POLL_SECONDS):
                self._hear(notification.payload)

    def _hear(self, payload: str) -> None:
        """Whoever may connect may notify, so anything can arrive."""
        try:
            task = TaskName(payload)
        except ValueError:
            task = None
        if task not in PUMPS:
            log.warning("A notification on %s names no pump: %.60r", CHANNEL, payload)
            return
        self._ring(task)
