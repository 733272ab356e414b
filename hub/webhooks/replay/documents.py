"""The documents that filters judge, of as many events as a process can hold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.webhooks.envelope import Envelope
from hub.webhooks.store import load_messages

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from hub.transforms import Filter

#: Bytes of data together; one event comes in any case.
_BYTES = 4 * 1_048_576


class Documents:
    """Collects which events are needed, then loads them; those that are too much are absent.

    Args:
        conn: a connection.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._ids: list[uuid.UUID] = []
        self._full = False
        self._bytes = 0
        self._found: dict[uuid.UUID, Any] = {}

    def want(self, message_id: uuid.UUID, size: int) -> None:
        """Ask for an event; once the room is over, for no other."""
        self._full = self._full or (bool(self._ids) and self._bytes + size > _BYTES)
        if not self._full:
            self._ids.append(message_id)
            self._bytes += size

    def load(self) -> None:
        """Read what was asked for: one statement."""
        rows = load_messages(self._conn, self._ids)
        self._found = {key: Envelope.of(row).document() for key, row in rows.items()}

    def __contains__(self, message_id: uuid.UUID) -> bool:
        """Is it there?"""
        return message_id in self._found

    def pass_all(self, message_id: uuid.UUID, filters: Sequence[Filter]) -> bool:
        """Do all filters hold for an event? Without a filter its document is not needed."""
        return all(one.matches(self._found[message_id]) for one in filters)
