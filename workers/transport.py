"""The Redis transport of the worker side, which survives what is no message at all.

Whoever can write to the broker can push any bytes into a queue's list. kombu's transport raises on them out of the
worker's event loop, and the worker ends. Here they are recorded and dropped.
"""

from __future__ import annotations

from typing import Any

from kombu import transport
from kombu.transport import redis

from workers.rejected import record


class Channel(redis.Channel):
    """Reads on after an item that is not JSON."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # missing in the stubs
        # From the JSON parser and from kombu's `__type__` values, which it revives while it parses.
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
            # The JSON error holds the text, the Unicode error the bytes; the item is off its queue already.
            body = getattr(error, "doc", None) or getattr(error, "object", None) or ""
            record(task=None, queue=None, reason=f"no JSON: {type(error).__name__}", headers={}, body=body)
            return True


class Transport(redis.Transport):
    """Reads on after JSON that is not a message."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        try:
            super()._deliver(message, queue)
        except KeyError as error:
            # kombu counts it as a lost connection, and would connect anew for each such message.
            self._record(message, queue, error)
        except (*self.connection_errors, *self.channel_errors):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is of a wrong type in it
            self._record(message, queue, error)

    def _record(self, message: Any, queue: str | None, error: Exception) -> None:
        headers = message.get("headers") if isinstance(message, dict) else None
        reason = f"no message: {type(error).__name__}"
        record(task=None, queue=queue, reason=reason, headers=headers, body=message)


def install() -> None:
    """Make this the transport of `redis://`, `rediss://` and `redis+socket://` in this process."""
    for scheme in ("redis", "rediss"):
        transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
