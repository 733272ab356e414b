"""The Celery application of the worker side: `celery -A workers.app worker | beat | flower`."""

from __future__ import annotations

from typing import Any

from celery import signals

import hub.tables  # noqa: F401 - every table is known before the first query
from hub.core.logging import configure_logging
from hub.core.settings import get_settings
from hub.queue.app import get_app
from workers import context, shutdown, transport
from workers.heartbeat import Heartbeat
from workers.tasks import load

transport.install()
app = get_app()
load()
app.steps["consumer"].add(Heartbeat)


@signals.setup_logging.connect(weak=False)
def _logging(**_: Any) -> None:
    configure_logging(get_settings().log_level)


@signals.worker_shutting_down.connect(weak=False)
def _shutting_down(**_: Any) -> None:
    shutdown.request()


@signals.worker_process_init.connect(weak=False)
def _forked(**_: Any) -> None:
    context.forget()
