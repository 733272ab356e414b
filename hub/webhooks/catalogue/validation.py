"""Judging events by their tenant's catalogue, from memory.

Promises: a tenant without a catalogue costs a look-up in a dict; a change of a catalogue is honoured by every process
at most `max_age_seconds` after its commit; a schema version is compiled once in a process. Twice in that time one
caller pays for one statement, which asks for all tenants that were in use since; the others go on meanwhile.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from hub.access.store import config_versions
from hub.core.errors import FieldError
from hub.json_schema import Validator, compile_schema
from hub.webhooks.catalogue import store

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Engine, Row

    #: Event type id and version number.
    _Version = tuple[uuid.UUID, int]

#: Tenants that one process keeps; the least recently used one goes first.
MAX_TENANTS = 10_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the catalogue says of one event.

    Args:
        allowed: whether it may be published.
        warnings: what is wrong with it all the same.
        errors: why it may not; empty when it may.
        schema_version: the version that it was checked against; None when it was not.
    """

    allowed: bool
    warnings: list[FieldError] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    schema_version: int | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """An event type, ready to be judged by.

    Attributes:
        checked_by: the version that its events are checked against, and its validator; None when they are not.
    """

    validation: str
    deprecated: bool
    checked_by: tuple[_Version, Validator] | None


@dataclass(slots=True)
class _Tenant:
    """What is known of one tenant.

    Attributes:
        config_version: as of which its types were loaded.
        fresh_until: monotonic seconds.
        used: asked for since it was last refreshed.
        renewing: somebody was sent to ask the database.
    """

    config_version: int | None
    fresh_until: float
    unknown: str
    types: Mapping[str, _Known]
    used: bool = False
    renewing: bool = False


class Catalogue:
    """The catalogues of the tenants that this process serves. Thread-safe.

    Args:
        engine: the database; `check` takes a connection of its own where it must ask.
        max_age_seconds: how long what is known is trusted without asking.
        clock: monotonic seconds.
    """

    def __init__(
        self, engine: Engine, max_age_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._max_age = max_age_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._tenants: OrderedDict[uuid.UUID, _Tenant] = OrderedDict()

    def check(self, tenant_id: uuid.UUID, event_type: str, data_text: str) -> Judgement:
        """Judge an event; asks the database when what is known is too old, so not for an event loop.

        Args:
            tenant_id: whose event it is.
            event_type: its type.
            data_text: its data: JSON that was checked to be well-formed.
        """
        tenant = self._recall(tenant_id)
        if tenant is None or tenant.renewing:
            tenant = self._refreshed(tenant_id)
        tenant.used = True
        return _judge(tenant, event_type, data_text)

    def check_from_memory(self, tenant_id: uuid.UUID, event_type: str, data_text: str) -> Judgement | None:
        """As `check`, without ever waiting; None when the database is to be asked: call `check` in a thread."""
        tenant = self._recall(tenant_id)
        if tenant is None:
            return None
        if not tenant.renewing and self._clock() >= tenant.fresh_until - self._max_age / 2:
            tenant.renewing = True
            return None
        tenant.used = True
        return _judge(tenant, event_type, data_text)

    # -- loading ----------------------------------------------------------------------------------------------------

    def _recall(self, tenant_id: uuid.UUID) -> _Tenant | None:
        tenant = self._tenants.get(tenant_id)
        return None if tenant is None or self._clock() >= tenant.fresh_until else tenant

    def _refreshed(self, tenant_id: uuid.UUID) -> _Tenant:
        with self._lock:
            # Another thread may have asked while this one waited.
            tenant = self._recall(tenant_id)
            if tenant is not None and not tenant.renewing:
                return tenant
            wanted = {one for one, known in self._tenants.items() if known.used} | {tenant_id}
            # Before the question: what is committed after it must be asked for again in time.
            fresh_until = self._clock() + self._max_age
            with self._engine.connect() as conn:
                versions = config_versions(conn, wanted)
                stale = {one for one in wanted if self._is_stale(one, versions.get(one))}
                loaded = self._load(conn, stale) if stale else {}
            for one in wanted:
                known = loaded.get(one) or self._tenants[one]
                # A new object, not a change: threads that judge by the old one are not disturbed.
                self._tenants[one] = _Tenant(versions.get(one), fresh_until, known.unknown, known.types)
                self._tenants.move_to_end(one)
            while len(self._tenants) > MAX_TENANTS:
                self._tenants.popitem(last=False)
            return self._tenants[tenant_id]

    def _is_stale(self, tenant_id: uuid.UUID, config_version: int | None) -> bool:
        known = self._tenants.get(tenant_id)
        return known is None or known.config_version != config_version

    def _load(self, conn: Connection, tenant_ids: set[uuid.UUID]) -> dict[uuid.UUID, _Tenant]:
        policies = store.load_unknown_policies(conn, tenant_ids)
        rows = store.load_event_types(conn, tenant_ids)
        # A version never changes: what was compiled stays.
        validators = dict(
            known.checked_by
            for tenant_id in tenant_ids & self._tenants.keys()
            for known in self._tenants[tenant_id].types.values()
            if known.checked_by is not None
        )
        missing = {version for row in rows if (version := _checked_by(row))} - validators.keys()
        for row in store.load_schemas(conn, missing) if missing else ():
            validators[row.event_type_id, row.version] = compile_schema(row.schema)
        types: dict[uuid.UUID, dict[str, _Known]] = {tenant_id: {} for tenant_id in tenant_ids}
        for row in rows:
            version = _checked_by(row)
            checked_by = None if version is None else (version, validators[version])
            types[row.tenant_id][row.name] = _Known(row.validation, row.deprecated, checked_by)
        return {one: _Tenant(None, 0.0, policies.get(one, "allow"), known) for one, known in types.items()}


def _checked_by(row: Row[Any]) -> _Version | None:
    """The version that an event type's events are checked against."""
    if row.validation == "off" or row.current_version is None:
        return None
    return row.id, row.current_version


# -- judging --------------------------------------------------------------------------------------------------------

_ALLOWED = Judgement(allowed=True)


def _judge(tenant: _Tenant, event_type: str, data_text: str) -> Judgement:
    known = tenant.types.get(event_type)
    if known is None:
        if tenant.unknown == "allow":
            return _ALLOWED
        fault = FieldError("type", "is not in the catalogue of event types")
        if tenant.unknown == "enforce":
            return Judgement(allowed=False, errors=[fault])
        return Judgement(allowed=True, warnings=[fault])
    warnings = [FieldError("type", "is deprecated")] if known.deprecated else []
    if known.checked_by is None:
        return Judgement(allowed=True, warnings=warnings) if warnings else _ALLOWED
    (_, version), validator = known.checked_by
    errors = _errors(validator, data_text)
    if known.validation == "enforce":
        return Judgement(not errors, warnings, errors, version)
    return Judgement(allowed=True, warnings=warnings + errors, schema_version=version)


def _errors(validator: Validator, data_text: str) -> list[FieldError]:
    try:
        document = _DECODER.decode(data_text)
    except (ValueError, RecursionError):
        return [
            FieldError(
                "data", "cannot be read: it is not JSON, nested too deeply, or has numbers out of range"
            )
        ]
    return validator.errors(document)


def _finite(literal: str) -> float:
    value = float(literal)
    if value - value != 0:
        raise ValueError
    return value


def _refuse(_name: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
