"""The Celery application that publishes and, with the tasks of `workers`, consumes."""

from __future__ import annotations

from functools import lru_cache

from celery import Celery


@lru_cache(maxsize=1)
def get_app() -> Celery:
    """The application of this process, configured by `celeryconfig.py`."""
    app = Celery("hub", set_as_current=True)
    app.config_from_object("celeryconfig")
    return app
