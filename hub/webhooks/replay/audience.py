"""Who takes which events, without what sending needs: no secret is opened for it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.access.store import config_versions
from hub.core.errors import Invalid
from hub.transforms import Filter, compile_filter
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.matching import matches
from hub.webhooks.replay import scan_store

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row

#: Tenants and, for each, event types that are remembered.
_MAX_TENANTS = 20
_MAX_TYPES = 1_000


@dataclass(frozen=True, slots=True)
class Member:
    """One endpoint, as far as it decides what it takes.

    Attributes:
        filter: only events that it takes.
        readable: False when its filter cannot be read: nothing is made for it.
    """

    id: uuid.UUID
    kind: str
    patterns: tuple[str, ...]
    labels: frozenset[str]
    filter: Filter | None
    readable: bool = True

    @classmethod
    def of(cls, row: Row[Any]) -> Member:
        """Compile an endpoint's row."""
        compiled, readable = None, True
        if row.filter is not None:
            try:
                compiled = compile_filter(row.filter)
            except Invalid:
                readable = False
        return cls(row.id, row.kind, tuple(row.event_types), frozenset(row.labels), compiled, readable)

    def wants(self, labels: Collection[str]) -> bool:
        """Does it take an event with these labels?"""
        return self.readable and (not self.labels or not self.labels.isdisjoint(labels))


@dataclass(slots=True)
class Audience:
    """The endpoints of a tenant, or one of them, by id."""

    members: dict[uuid.UUID, Member]
    _ids: list[uuid.UUID] = field(init=False)
    _by_type: dict[tuple[str, str], Sequence[Member]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Put them in order."""
        self._ids = sorted(self.members)

    def __len__(self) -> int:
        """How many."""
        return len(self._ids)

    def after(self, endpoint_id: uuid.UUID | None) -> uuid.UUID | None:
        """The next one by id; None: the first one."""
        at = 0 if endpoint_id is None else bisect_right(self._ids, endpoint_id)
        return self._ids[at] if at < len(self._ids) else None

    def passed(self, endpoint_id: uuid.UUID) -> int:
        """How many come before this one."""
        return bisect_right(self._ids, endpoint_id) - (endpoint_id in self.members)

    def takers(self, source: str, event_type: str) -> Sequence[Member]:
        """Those that subscribe to this type, by id; their labels and filters are not asked.

        Args:
            source: the door that the event came through.
            event_type: such as `invoice.paid`.
        """
        kind = "operations" if source == OPERATIONAL else "events"
        found = self._by_type.get((kind, event_type))
        if found is None:
            members = (self.members[one] for one in self._ids)
            found = tuple(one for one in members if one.kind == kind and matches(one.patterns, event_type))
            if len(self._by_type) >= _MAX_TYPES:
                self._by_type.clear()
            self._by_type[kind, event_type] = found
        return found


def load(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID | None) -> Audience:
    """The tenant's endpoints, or one of them; without it when it is gone."""
    rows = scan_store.list_members(conn, tenant_id, endpoint_id)
    return Audience({row.id: Member.of(row) for row in rows})


class Audiences:
    """Audiences that are kept until their tenant's set-up changes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[uuid.UUID, uuid.UUID | None], tuple[int, Audience]] = {}

    def get(self, conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID | None) -> Audience:
        """One of today: a statement for the version, one more when it changed."""
        version = config_versions(conn, [tenant_id])[tenant_id]
        key = (tenant_id, endpoint_id)
        known = self._kept.get(key)
        if known is None or known[0] != version:
            if len(self._kept) >= _MAX_TENANTS:
                self._kept.clear()
            known = self._kept[key] = (version, load(conn, tenant_id, endpoint_id))
        return known[1]
