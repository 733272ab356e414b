"""Celery's consumer, with a place for messages that no task understands (`celeryconfig.worker_consumer`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.worker.consumer import Consumer

from workers.headers import fault_of
from workers.rejected import record

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


class RecordingConsumer(Consumer):
    """Records what Celery only logs, or ends of: unknown tasks, malformed bodies, messages that are no tasks."""

    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Celery's handler, and nothing that a message contains ends the worker."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                if not isinstance(message.headers, dict) or "task" not in message.headers:
                    self.on_unknown_message(None, message)
                elif fault := fault_of(message.headers):
                    self._refuse(message, f"headers: {fault}")
                else:
                    handle(message)
            except KeyError as error:  # kombu counts it as a lost connection
                self._refuse(message, f"not understood: {type(error).__name__}")
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # noqa: BLE001 - headers and body are a stranger's
                self._refuse(message, f"not understood: {type(error).__name__}")

        return on_task_received

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """It has no task name."""
        self._record(message, "it is not a task message")
        super().on_unknown_message(body, message)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """No task of that name is registered here."""
        self._record(message, "no such task")
        super().on_unknown_task(body, message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Celery could not make a request of it."""
        self._record(message, f"invalid task: {type(exc).__name__}")
        super().on_invalid_task(body, message, exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Its body is not what its headers say."""
        self._record(message, f"undecodable: {type(exc).__name__}")
        super().on_decode_error(message, exc)

    def _refuse(self, message: Any, reason: str) -> None:
        self._record(message, reason)
        if not message.acknowledged:
            message.reject_log_error(log, self.connection_errors)

    def _record(self, message: Any, reason: str) -> None:
        headers = message.headers if isinstance(message.headers, dict) else {}
        info = message.delivery_info or {}
        record(
            task=str(headers["task"])[:200] if "task" in headers else None,
            queue=info.get("routing_key"),
            reason=reason,
            headers=headers,
            body=message.body,
        )
