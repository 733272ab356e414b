"""One endpoint, compiled: everything that sending to it needs, made once from its row."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hub.db.lanes import Limits
from hub.transforms.filters import Filter, compile_filter
from hub.transforms.steps import Pipeline, compile_steps
from hub.webhooks.matching import matches
from hub.webhooks.profiles import Key, Profile, compile_profiles
from hub.webhooks.retry import schedule_of
from hub.webhooks.signing import Signer, decode_private_key, decode_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from hub.core.secret import Secret
    from hub.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint, ready to be called.

    Attributes:
        hold: why nothing can be sent to it now, beyond what its lane says; None when it is fine.
        labels: not empty: only events that carry one of them.
        filter: only events that it takes.
        pipeline: steps that make the body.
        headers: rendered header lines, those of its own.
        shown_headers: the same as JSON members, what is secret masked; empty or ends with a comma.
        signer: makes the value of `webhook-signature`.
        profiles: further signatures, made with `keys`.
        timeout: seconds, total.
        schedule: seconds between attempts.
        metered: every delivery has to pass its lane.
        strict: events of one ordering key wait for each other.
        expires_at: when it has to be compiled again, because an older signing key ends.
    """

    id: uuid.UUID
    version: int
    kind: str
    patterns: tuple[str, ...]
    hold: str | None = None
    url: str = ""
    labels: frozenset[str] = frozenset()
    filter: Filter | None = None
    pipeline: Pipeline | None = None
    headers: tuple[str, ...] = ()
    shown_headers: str = ""
    signer: Signer = field(default_factory=lambda: Signer(()))
    profiles: tuple[Profile, ...] = ()
    keys: tuple[Key, ...] = ()
    timeout: float = 0.0
    schedule: tuple[float, ...] = ()
    metered: bool = False
    strict: bool = False
    batch_size: int = 1
    expires_at: datetime | None = None

    def takes(self, event_type: str) -> bool:
        """Does it subscribe to this type?"""
        return matches(self.patterns, event_type)

    def expired(self, now: datetime) -> bool:
        """Must it be compiled again?"""
        return self.expires_at is not None and self.expires_at <= now


def limits_of(row: Row[Any]) -> Limits:
    """What the lane of an endpoint may do."""
    return Limits(
        max_in_flight=row.max_in_flight,
        rate=row.rate_limit,
        drain_rate=row.drain_rate,
        batch_size=row.batch_size,
        batch_wait=row.batch_wait_seconds if row.batch_size > 1 else 0.0,
    )


def secret_ids(row: Row[Any]) -> list[uuid.UUID]:
    """The secrets that `target_of` needs."""
    older = [uuid.UUID(one["secret_id"]) for one in (*row.previous_secrets, *row.previous_keys)]
    return [key for key in (row.secret_id, row.key_id, *older) if key is not None]


def target_of(
    row: Row[Any], secrets: Mapping[uuid.UUID, Secret], settings: Settings, now: datetime
) -> Target:
    """Compile an endpoint.

    Args:
        row: of the table `endpoint`.
        secrets: by id; those that could not be opened are missing.
        settings: the deployment's defaults.
        now: older keys that have ended by then do not sign.

    Raises:
        Invalid, TypeError, ValueError, AttributeError, KeyError: the row was not written by the hub.
    """
    older = [
        (uuid.UUID(one["secret_id"]), datetime.fromisoformat(one["expires_at"]))
        for one in row.previous_secrets
    ]
    older_keys = [
        (uuid.UUID(one["secret_id"]), datetime.fromisoformat(one["expires_at"])) for one in row.previous_keys
    ]
    hmac_ids = [row.secret_id, *(key for key, end in older if end > now)]
    key_ids = [] if row.key_id is None else [row.key_id, *(key for key, end in older_keys if end > now)]
    # One that cannot be opened is not fatal while the current one can.
    current = secrets.get(row.secret_id)
    opened = [secrets[key] for key in hmac_ids if key in secrets]
    signer = Signer(
        [decode_secret(secret) for secret in opened],
        [decode_private_key(secrets[key]) for key in key_ids if key in secrets],
    )
    limits = limits_of(row)
    return Target(
        id=row.id,
        version=row.version,
        kind=row.kind,
        patterns=tuple(row.event_types),
        hold=None if current is not None else "secret_unreadable",
        url=row.url,
        labels=frozenset(row.labels),
        filter=None if row.filter is None else compile_filter(row.filter),
        pipeline=compile_steps(row.transformations) if row.transformations else None,
        headers=tuple(f"{name}: {value}" for name, value in row.headers.items()),
        shown_headers="".join(
            f"{msgspec.json.encode(name.lower()).decode()}:{msgspec.json.encode(value).decode()},"
            for name, value in row.headers.items()
        ),
        signer=signer,
        profiles=compile_profiles(row.signature_profiles),
        keys=tuple(Key.of(secret) for secret in opened),
        timeout=row.timeout_seconds or settings.webhook_timeout_seconds,
        schedule=schedule_of(row.retry_policy, settings.webhook_retry_schedule),
        metered=limits.metered,
        strict=row.ordering == "strict",
        batch_size=row.batch_size,
        expires_at=min((end for _, end in (*older, *older_keys) if end > now), default=None),
    )


def unreadable(row: Row[Any]) -> Target:
    """An endpoint that cannot be compiled: what is for it waits."""
    return Target(row.id, row.version, row.kind, tuple(row.event_types), hold="endpoint_unreadable")
