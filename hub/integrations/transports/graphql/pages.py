"""One answer of all pages of a connection (Relay's cursor connections).

Promises: no more pages and bytes than the caps say; a service that repeats a cursor is left after the second time;
nodes and edges stay the bytes that came. The joined answer has the last page's pageInfo: whoever wants the rest sees
there that there is one, and where to go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from hub.integrations.transports.graphql.answer import (
    Members,
    NotGraphqlError,
    Reply,
    is_null,
    members_of,
)

if TYPE_CHECKING:
    from hub.integrations.transports.graphql.forms import RelayPages

_LISTS = ("nodes", "edges")


@dataclass(slots=True)
class Pages:
    """The pages of one call.

    Args:
        form: how they follow one another.
    """

    form: RelayPages
    _found: dict[str, list[msgspec.Raw]] = field(default_factory=dict)
    _path: list[tuple[str, Members]] = field(default_factory=list)
    _errors: list[Any] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _first: Reply | None = None
    _last: Members = field(default_factory=dict)
    _count: int = 0

    def add(self, reply: Reply) -> str | None:
        """Take a page.

        Returns:
            The cursor of the next one; None at the end.

        Raises:
            NotGraphqlError: there is no connection where one should be.
        """
        path, connection = self._walk(reply)
        if self._first is None:
            self._first, self._path = reply, path
        self._count += 1
        self._errors += reply.errors
        if connection is None:
            return None
        self._last = connection
        for name in _LISTS:
            if name in connection and not is_null(connection[name]):
                try:
                    items = msgspec.json.decode(connection[name], type=list[msgspec.Raw])
                except msgspec.DecodeError:
                    raise NotGraphqlError(f"{self.form.connection}.{name} is not a list") from None
                self._found.setdefault(name, []).extend(items)
        return self._next(connection)

    def joined(self) -> bytes:
        """The answer of the first page, with the items of all of them, the last pageInfo and every error."""
        assert self._first is not None
        if not self._last:
            return msgspec.json.encode(self._first.members)
        inner = self._last | {name: _raw(items) for name, items in self._found.items()}
        for key, outer in reversed(self._path):
            inner = outer | {key: _raw(inner)}
        whole = self._first.members | {"data": _raw(inner)}
        if self._errors:
            whole["errors"] = _raw(self._errors)
        return bytes(_raw(whole))

    def _walk(self, reply: Reply) -> tuple[list[tuple[str, Members]], Members | None]:
        """The objects from `data` down to the connection; None for a connection that is null on the way."""
        path: list[tuple[str, Members]] = []
        here: msgspec.Raw | None = reply.data
        for key in self.form.connection.split("."):
            if here is None or is_null(here):
                return path, None
            outer = members_of(here, f"what the path {self.form.connection} leads through")
            if key not in outer:
                raise NotGraphqlError(f"it has no {key} of {self.form.connection}")
            path.append((key, outer))
            here = outer[key]
        if here is None or is_null(here):
            return path, None
        return path, members_of(here, self.form.connection)

    def _next(self, connection: Members) -> str | None:
        if "pageInfo" not in connection:
            raise NotGraphqlError(f"{self.form.connection} has no pageInfo")
        try:
            info = msgspec.json.decode(connection["pageInfo"], type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise NotGraphqlError(f"{self.form.connection}.pageInfo is not an object") from None
        cursor = info.get("endCursor")
        if info.get("hasNextPage") is not True or not isinstance(cursor, str):
            return None
        if cursor in self._seen or self._count >= self.form.max_pages:
            return None
        self._seen.add(cursor)
        return cursor


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
