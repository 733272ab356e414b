"""Beat that may run twice: only the holder of a lease in Postgres ticks, and each due moment starts once.

Celery's own beat has no fail-over (celery#1495), and two of them start everything twice. Here any number may run:
one leads, the others look every second whether its lease has run out. Whatever fails, the lead is dropped first:
no tick is better than two leaders, and even two could not start one moment twice (`UNIQUE (name, scheduled_for)`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from typing import Any

from celery.beat import Scheduler
from sqlalchemy.exc import SQLAlchemyError

from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.queue import store
from hub.queue.contracts import Tick
from workers.schedule import Job, jobs

log = logging.getLogger(__name__)

LEAD = "beat"


class LeaderScheduler(Scheduler):
    """A Celery beat scheduler; `celery -A workers.app beat -S workers.scheduler.LeaderScheduler`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = get_settings()
        # Two containers can share a host name and a process id; two leaders must not share a name.
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        self._lease = settings.leader_lease_seconds
        self._jobs = jobs(settings)
        self._started: dict[str, int] = {}
        self._stop = threading.Event()
        self._heeds = False
        self._leads_until = 0.0
        self._renew_at = 0.0
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Nothing is stored locally: the schedule is code, its state is in Postgres."""

    def _heed_signals(self) -> None:
        """End between ticks, a second later at most.

        Celery's handler raises where it stands; amid a statement that exit became a database error, which beat
        survives: the signal was lost.
        """
        # Where Celery has put none, this is no beat process, and its signals are not ours.
        ours = threading.current_thread() is threading.main_thread() and callable(
            signal.getsignal(signal.SIGTERM)
        )
        if ours:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stop.set())

    def tick(self, *_args: Any, **_kwargs: Any) -> float:
        """Start what is due if this beat leads.

        Returns:
            Seconds until the next call.
        """
        if not self._heeds:
            # Not in __init__: Celery installs its own handlers after that.
            self._heed_signals()
            self._heeds = True
        if self._stop.is_set():
            raise SystemExit
        try:
            if not self._leads():
                return 1.0
            now = time.time()
            for job in self._jobs:
                self._start_if_due(job, now)
        except SQLAlchemyError as error:
            self._leads_until = self._renew_at = 0.0
            log.warning("Beat stands back until the database answers (%s).", type(error).__name__)
            return 1.0
        return max(0.01, min(job.every - time.time() % job.every for job in self._jobs))

    def close(self) -> None:
        """Hand the lead over at once."""
        try:
            with get_engine().begin() as conn:
                store.drop_lead(conn, LEAD, self._owner)
        except SQLAlchemyError as error:
            log.warning("Could not drop the lead (%s); it ends by itself.", type(error).__name__)
        super().close()

    def _leads(self) -> bool:
        now = time.monotonic()
        if now < self._renew_at:
            return True
        led = self._leads_until > now
        with get_engine().begin() as conn:
            leads = store.take_lead(conn, LEAD, self._owner, self._lease)
        # Counted from before the statement: this beat never believes in its lease longer than the database does.
        self._leads_until = now + self._lease if leads else 0.0
        self._renew_at = now + self._lease / 3 if leads else 0.0
        if leads != led:
            log.info("This beat %s (%s).", "leads" if leads else "stands by", self._owner)
        return leads

    def _start_if_due(self, job: Job, now: float) -> None:
        slot = int(now / job.every)
        if self._started.get(job.task.value) == slot:
            return
        at = datetime.fromtimestamp(slot * job.every, UTC)
        with get_engine().begin() as conn:
            if store.start_tick(conn, job.task.value, at, self._owner):
                payload = Tick(name=job.task.value, scheduled_for=at.isoformat())
                try:
                    self.app.send_task(
                        job.task.value,
                        kwargs={"payload": payload.model_dump(mode="json")},
                        # A sweep that waited longer than a few periods has been overtaken by the next one.
                        expires=max(30.0, job.every),
                    )
                except Exception as error:  # noqa: BLE001 - kombu's brokers raise dozens of types
                    log.warning("The broker took no tick of %s (%s).", job.task.value, type(error).__name__)
                    conn.rollback()
                    return
        self._started[job.task.value] = slot
