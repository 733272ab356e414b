"""Signs of life that mean something: written from the loop that polls the broker, so a deaf worker falls silent.

A file for local probes (`HUB_HEARTBEAT_FILE`) and a row for `hub doctor` and the dashboard. `celery inspect ping`
is no probe: it costs three CPU-seconds a call and answers from a worker that consumes nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from celery import bootsteps
from sqlalchemy.exc import SQLAlchemyError

from hub.core.settings import get_settings
from hub.db.engine import make_engine, require_database_url
from hub.queue import store
from workers import shutdown

log = logging.getLogger(__name__)
_EVERY = 5.0


class Heartbeat(bootsteps.StartStopStep):
    """Beats every five seconds while the consumer's event loop turns."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **_options: Any) -> None:
        self._name = consumer.hostname
        self._started_at = datetime.now(UTC)
        self._file = get_settings().heartbeat_file
        self._writing = threading.Lock()
        self._engine = make_engine(
            require_database_url(get_settings()), pool_size=1, application_name="hub heartbeat"
        )
        self._queues = ""
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """The consumer is connected, for the first time or again."""
        self._queues = ",".join(sorted(queue.name for queue in consumer.task_consumer.queues))
        self._beat()
        self._timer = consumer.timer.call_repeatedly(_EVERY, self._beat)

    def stop(self, _consumer: Any) -> None:
        """The consumer lost its broker, or the worker shuts down."""
        if self._timer is not None:
            self._timer.cancel()
        if not shutdown.requested():
            return
        try:
            # After a beat that is being written: the last word is that it stopped. No beat follows.
            self._writing.acquire(timeout=2)
            with self._engine.begin() as conn:
                store.stop_heart(conn, self._name)
        except SQLAlchemyError as error:
            log.debug("The last heartbeat was not written: %s", type(error).__name__)

    def _beat(self) -> None:
        if self._file:
            Path(self._file).touch()
        # A slow database must not stop the loop, nor pile up threads.
        if self._writing.acquire(blocking=False):
            threading.Thread(target=self._write, name="heartbeat", daemon=True).start()

    def _write(self) -> None:
        try:
            with self._engine.begin() as conn:
                store.beat_heart(conn, self._name, self._queues, os.getpid(), self._started_at)
        except SQLAlchemyError as error:
            log.warning("The heartbeat was not written (%s).", type(error).__name__)
        finally:
            self._writing.release()
