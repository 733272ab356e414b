"""Celery's consumer, with a place for messages that no task understands (`celeryconfig.worker_consumer`)."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer

from workers.rejected import record


class RecordingConsumer(Consumer):
    """Records what Celery only logs: unknown tasks, malformed bodies, messages that are no tasks."""

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

    def _record(self, message: Any, reason: str) -> None:
        headers = message.headers if isinstance(message.headers, dict) else {}
        info = message.delivery_info or {}
        record(
            task=str(headers["task"]) if "task" in headers else None,
            queue=info.get("routing_key"),
            reason=reason,
            headers=headers,
            body=message.body,
        )
