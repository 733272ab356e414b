"""One endpoint, compiled: everything that sending to it needs, made once from its row."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from hub.db.lanes import Limits
from hub.net.client_certificate import ClientCertificate
from hub.net.token_endpoint import TokenRequest
from hub.transforms import compile_filter, compile_steps
from hub.webhooks.endpoints.overlap import live
from hub.webhooks.matching import matches
from hub.webhooks.profiles import Key, Profile, compile_profiles
from hub.webhooks.retry import schedule_of
from hub.webhooks.signing import Signer, decode_private_key, decode_secret

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Row

    from hub.core.secret import Secret
    from hub.core.settings import Settings
    from hub.transforms import Filter, Pipeline


#: Deliveries per second with which an endpoint catches up after a hold, unless it says otherwise: what piled up must
#: crush neither a receiver that is just back nor live traffic.
DRAIN_RATE = 500.0


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint, ready to be called.

    Attributes:
        hold: why nothing can be sent to it now: its status, or what cannot be read of it; None when it is fine.
        labels: not empty: only events that carry one of them.
        filter: only events that it takes.
        pipeline: steps that make the body.
        headers: rendered header lines, those of its own and its credentials.
        shown_headers: the same as JSON members, what is secret masked; empty or ends with a comma.
        signer: makes the value of `webhook-signature`.
        profiles: further signatures, made with `keys`.
        token: what to ask for before a call; the answer is its `Authorization`.
        certificate: shown to a receiver that asks for one.
        timeout: seconds, total.
        schedule: seconds between attempts; None: its event type's or its tenant's, see `Directory.schedule`.
        metered: every delivery has to pass its lane.
        strict: events of one ordering key wait for each other.
        expires_at: when it has to be compiled again, because an older signing key ends.
    """

    id: uuid.UUID
    version: int
    kind: str
    patterns: tuple[str, ...]
    hold: str | None = None
    name: str = ""
    url: str = ""
    labels: frozenset[str] = frozenset()
    filter: Filter | None = None
    pipeline: Pipeline | None = None
    headers: tuple[str, ...] = field(default=(), repr=False)
    shown_headers: str = ""
    signer: Signer = field(default_factory=lambda: Signer(()))
    profiles: tuple[Profile, ...] = ()
    keys: tuple[Key, ...] = ()
    token: TokenRequest | None = None
    certificate: ClientCertificate | None = None
    timeout: float = 0.0
    schedule: tuple[float, ...] | None = None
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
        drain_rate=row.drain_rate or DRAIN_RATE,
        batch_size=row.batch_size,
        batch_wait=row.batch_wait_seconds if row.batch_size > 1 else 0.0,
    )


def secret_ids(row: Row[Any]) -> list[uuid.UUID]:
    """The secrets that `target_of` needs."""
    older = [one.secret_id for one in live([*row.previous_secrets, *row.previous_keys])]
    ids = (row.secret_id, row.key_id, row.auth_secret_id, row.certificate_key_id, *older)
    return [key for key in ids if key is not None]


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
    older, older_keys = live(row.previous_secrets, now), live(row.previous_keys, now)
    hmac_ids = [row.secret_id, *(one.secret_id for one in older)]
    key_ids = [] if row.key_id is None else [row.key_id, *(one.secret_id for one in older_keys)]
    # An older one that cannot be opened is not fatal.
    opened = [secrets[key] for key in hmac_ids if key in secrets]
    needed = (row.secret_id, row.key_id, row.auth_secret_id, row.certificate_key_id)
    readable = all(key in secrets for key in needed if key is not None)
    signer = Signer(
        [decode_secret(secret) for secret in opened],
        [decode_private_key(secrets[key]) for key in key_ids if key in secrets],
    )
    limits = limits_of(row)
    headers, shown = _headers(row, secrets.get(row.auth_secret_id))
    return Target(
        id=row.id,
        version=row.version,
        kind=row.kind,
        patterns=tuple(row.event_types),
        hold=_hold(row.status, readable=readable),
        name=row.name,
        url=row.url,
        labels=frozenset(row.labels),
        filter=None if row.filter is None else compile_filter(row.filter),
        pipeline=compile_steps(row.transformations) if row.transformations else None,
        headers=headers,
        shown_headers=shown,
        signer=signer,
        profiles=compile_profiles(row.signature_profiles),
        keys=tuple(Key.of(secret) for secret in opened),
        token=_token(row.auth, secrets.get(row.auth_secret_id)),
        certificate=_certificate(row, secrets),
        timeout=row.timeout_seconds or settings.webhook_timeout_seconds,
        schedule=schedule_of(row.retry_policy),
        metered=limits.metered,
        strict=row.ordering == "strict",
        batch_size=row.batch_size,
        expires_at=min((one.expires_at for one in (*older, *older_keys)), default=None),
    )


def _hold(status: str, *, readable: bool) -> str | None:
    if status != "active":
        return f"endpoint_{status}"
    return None if readable else "secret_unreadable"


def _headers(row: Row[Any], secret: Secret | None) -> tuple[tuple[str, ...], str]:
    """The lines that are sent, and what is shown of them."""
    given = [(name, value, value) for name, value in row.headers.items()]
    mode = row.auth["mode"]
    if secret is not None:
        if mode == "basic":
            # UTF-8, as RFC 7617, 2.1 prefers.
            credentials = b64encode(f"{row.auth['username']}:{secret.reveal()}".encode()).decode()
            given.append(("Authorization", f"Basic {credentials}", "***"))
        elif mode == "bearer":
            given.append(("Authorization", f"Bearer {secret.reveal()}", "***"))
        elif mode == "header":
            given.append((row.auth["name"], secret.reveal(), "***"))
    return tuple(f"{name}: {value}" for name, value, _ in given), "".join(
        f"{msgspec.json.encode(name.lower()).decode()}:{msgspec.json.encode(shown).decode()},"
        for name, _, shown in given
    )


def _token(auth: Mapping[str, Any], secret: Secret | None) -> TokenRequest | None:
    if auth["mode"] != "oauth2_client_credentials" or secret is None:
        return None
    return TokenRequest(
        auth["token_url"],
        auth["client_id"],
        secret,
        scopes=tuple(auth["scopes"]),
        audience=auth.get("audience"),
        client_auth=auth["client_auth"],
    )


def _certificate(row: Row[Any], secrets: Mapping[uuid.UUID, Secret]) -> ClientCertificate | None:
    if row.certificate is None or row.certificate_key_id not in secrets:
        return None
    return ClientCertificate(row.certificate.encode(), secrets[row.certificate_key_id])


def unreadable(row: Row[Any]) -> Target:
    """An endpoint that cannot be compiled: what is for it waits."""
    return Target(row.id, row.version, row.kind, tuple(row.event_types), hold="endpoint_unreadable")
