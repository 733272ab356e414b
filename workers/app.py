"""The Celery application of the worker side: `celery -A workers.app worker | beat | flower`.

A setting that is missing or wrong ends each of them at once, with one sentence and exit status 78 (EX_CONFIG), as it
ends `python -m hub.api`.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from billiard import pool
from celery import signals

import hub.tables  # noqa: F401 - every table is known before the first query
from hub.core.errors import ConfigError
from hub.core.logging import configure_logging
from hub.core.settings import get_settings
from hub.db.engine import require_database_url
from hub.queue.app import get_app
from workers import context, shutdown, transport
from workers.heartbeat import Heartbeat
from workers.tasks import load

if TYPE_CHECKING:
    from collections.abc import Iterator


def _command() -> str | None:
    """The command of `celery` that runs, or `celery` while it looks for the application; None elsewhere."""
    running = click.get_current_context(silent=True)
    return None if running is None else running.info_name


@contextmanager
def _wrong_settings_end_the_command() -> Iterator[None]:
    """`celery` would print a traceback, and worker and beat would log one and some go on.

    Whoever imports this module without `celery` gets the error itself.
    """
    try:
        yield
    except ConfigError as error:
        if _command() is None:
            raise
        sys.stderr.write(f"workers.app: {error.detail}\n")
        raise SystemExit(os.EX_CONFIG) from None


with _wrong_settings_end_the_command():
    get_settings()
transport.install()
app = get_app()
load()
app.steps["consumer"].add(Heartbeat)


@signals.import_modules.connect(weak=False)
def _check_settings(**_: Any) -> None:
    """What a command cannot work without: the first signal that worker, beat and Flower have in common."""
    with _wrong_settings_end_the_command():
        settings = get_settings()
        command = _command()
        if command in {"worker", "beat"}:
            require_database_url(settings)
        if command == "worker":
            context.get_bell()
            context.get_vault()
            context.forget()
        if settings.celery_broker_url is None:
            raise ConfigError("Neither HUB_BROKER_URL nor HUB_REDIS_URL is set: set one of them.")


@signals.setup_logging.connect(weak=False)
def _logging(**_: Any) -> None:
    configure_logging(get_settings().log_level)


@signals.worker_shutting_down.connect(weak=False)
def _shutting_down(**_: Any) -> None:
    shutdown.request()


#: How often a pool process that ends looks whether its results were read, ten times a second. At a shutdown Celery's
#: main process forgets a message that its pool had not yet confirmed and reads nothing more of it; the pool would wait
#: for all of billiard's 300 looks. Nothing is lost: such a message was not acknowledged either, and comes again.
_RESULT_LOOKS = 20


@signals.worker_process_init.connect(weak=False)
def _forked(**_: Any) -> None:
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _RESULT_LOOKS
    context.forget()
