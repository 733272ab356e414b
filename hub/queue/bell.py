"""The doorbell: tells worker pools that rows are waiting, once for any number of rows.

Three Redis keys for each queue, all of them hints that may vanish at any time (the sweep finds rows without them):

- `awake`: a pump with room looks at the bell many times a second. It expires by itself when the pump dies.
- `rung`: there is news since the pump last looked.
- `sent`: a Celery message is on its way and no pump has started since. It keeps a thousand rings from becoming a
  thousand messages: one costs about 2.5 ms of CPU between the two ends.

So a ring costs one Redis round trip, and a Celery message only when nobody is awake to hear it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import redis

from hub.queue.contracts import DOORBELL_IDS, Doorbell, Queue, TaskName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery

log = logging.getLogger(__name__)

#: Which task answers which bell.
PUMPS: dict[TaskName, Queue] = {
    TaskName.EXECUTIONS_RUN: Queue.EXECUTE,
    TaskName.DELIVERIES_SEND: Queue.DELIVER,
    TaskName.CHECKS_RUN: Queue.SYSTEM,
}

_PREFIX = "hub:bell"
_AWAKE_MS = 1000
_SENT_MS = 1000
_RUNG_MS = 10_000

_RING = """
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) and 1 or 0
"""


def connect(url: str) -> redis.Redis:
    """A Redis client whose calls end within two seconds, whatever the server does."""
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=25)


class Bell:
    """Rings, listens, and publishes the Celery message when it must.

    Args:
        client: Redis; its errors are swallowed here, the sweep covers for them.
        app: the Celery application that publishes.
    """

    def __init__(self, client: redis.Redis, app: Celery) -> None:
        self._redis = client
        self._app = app
        self._ring = client.register_script(_RING)

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> bool:
        """Say that rows of this kind wait. Never raises: the rows are committed, the sweep finds them.

        Args:
            task: the pump that serves them.
            ids: public ids for the message, for people who look at Flower.

        Returns:
            True when the ring was heard or a message was published.
        """
        try:
            news = self._ring(keys=_keys(task), args=[_RUNG_MS, _SENT_MS])
        except redis.RedisError as error:
            log.warning(
                "The doorbell of %s is out of reach (%s); the sweep will find the rows.",
                task.value,
                _kind(error),
            )
            news = 1
        return self._publish(task, ids) if news else True

    def call_help(self, task: TaskName) -> None:
        """A full pump asks another process to join, at most once a second."""
        try:
            if self._redis.set(_keys(task)[2], "1", nx=True, px=_SENT_MS):
                self._publish(task, ())
        except redis.RedisError as error:
            log.debug("Could not call help for %s: %s", task.value, _kind(error))

    def _publish(self, task: TaskName, ids: Sequence[str]) -> bool:
        payload = Doorbell(ids=list(ids[:DOORBELL_IDS]))
        try:
            self._app.send_task(task.value, kwargs={"payload": payload.model_dump(mode="json")})
        except Exception as error:  # noqa: BLE001 - kombu's brokers raise dozens of types
            log.warning(
                "The broker took no doorbell for %s (%s); the sweep will ring again.",
                task.value,
                _kind(error),
            )
            return False
        return True

    # -- the pump's side ----------------------------------------------------------------------------------------------

    def wake(self, task: TaskName) -> None:
        """A pump started, or has room again: rings are heard by it from now on."""
        awake, _, sent = _keys(task)
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(awake, "1", px=_AWAKE_MS)
        pipe.delete(sent)
        self._quietly(pipe.execute)

    def sleep(self, task: TaskName) -> None:
        """The pump is full or about to end: rings become messages again."""
        self._quietly(lambda: self._redis.delete(_keys(task)[0]))

    def answered(self, task: TaskName) -> bool:
        """Was there a ring since the last call? False without Redis: a pump that lives looks by itself now and then."""
        awake, rung, _ = _keys(task)
        pipe = self._redis.pipeline(transaction=False)
        pipe.delete(rung)
        pipe.pexpire(awake, _AWAKE_MS)
        try:
            had, _ = pipe.execute()
        except redis.RedisError:
            return False
        return bool(had)

    def answered_after_sleep(self, task: TaskName) -> bool:
        """Was there a ring that came while rings were still absorbed? False without Redis: the sweep covers."""
        try:
            return bool(self._redis.delete(_keys(task)[1]))
        except redis.RedisError:
            return False

    def _quietly(self, action: Callable[[], object]) -> None:
        try:
            action()
        except redis.RedisError as error:
            log.debug("Doorbell keys not updated: %s", _kind(error))


def _keys(task: TaskName) -> list[str]:
    return [f"{_PREFIX}:{task.value}:awake", f"{_PREFIX}:{task.value}:rung", f"{_PREFIX}:{task.value}:sent"]


def _kind(error: Exception) -> str:
    """The error's type: its text can hold a URL with a password."""
    return type(error).__name__
