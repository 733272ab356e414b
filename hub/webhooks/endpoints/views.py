"""What is shown of endpoints. No secret is ever in it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from hub.core.ids import Kind, format_id
from hub.core.secret import Secret
from hub.net.client_certificate import ClientCertificate
from hub.webhooks.endpoints.overlap import live

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from sqlalchemy import Row

    from hub.vault.store import Description


class SecretView(BaseModel):
    """What may be shown of a secret."""

    last4: str
    fingerprint: str


class OldSecretView(SecretView):
    """A secret that still signs."""

    expires_at: datetime


class OldKeyView(BaseModel):
    """An ed25519 key that still signs."""

    public_key: str
    expires_at: datetime


class CertificateView(BaseModel):
    """What may be shown of a client certificate."""

    subject: str
    expires_at: datetime


class BatchView(BaseModel):
    """Several events in one request."""

    size: int
    wait_seconds: float


class Endpoint(BaseModel):
    """An endpoint."""

    id: str
    name: str
    description: str
    url: str
    kind: Literal["events", "operations"]
    event_types: list[str]
    labels: list[str]
    filter: dict[str, Any] | None
    transformations: list[Any]
    headers: dict[str, str]
    secret: SecretView | None = Field(description="Null: it is gone from the vault.")
    previous_secrets: list[OldSecretView]
    public_key: str | None = Field(description="`whpk_…` of its ed25519 key; as JWKS at `/jwks/{id}`.")
    previous_public_keys: list[OldKeyView]
    signature_profiles: list[Any]
    auth: dict[str, Any] = Field(description="`mode` and what is not secret of it.")
    auth_secret: SecretView | None
    client_certificate: CertificateView | None
    timeout_seconds: float | None
    retry_policy: dict[str, Any] | None
    max_in_flight: int | None
    rate_limit: float | None
    drain_rate: float | None
    ordering: Literal["best_effort", "strict"]
    batch: BatchView
    ip_allow_list: list[str]
    metadata: dict[str, str]
    challenge: bool
    status: Literal["active", "paused", "disabled", "unverified"]
    status_reason: str | None
    hold: str | None = Field(description="Why what waits for it is not sent now.")
    version: int
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class EndpointSecret(Endpoint):
    """An endpoint with its signing secret, which is shown this once."""

    signing_secret: str


class EndpointSwitched(Endpoint):
    """An endpoint that was paused or resumed."""

    discarded: int = Field(description="Deliveries that were cancelled.")


class Monitoring(BaseModel):
    """How an endpoint does."""

    delivery_rate: float | None = Field(
        description="Percent of the attempts that succeeded; null: there were none."
    )
    error_rate: float | None = Field(description="Percent of the attempts that failed.")
    average_latency_ms: float | None
    last_delivery_at: datetime | None
    last_failure_at: datetime | None
    failing_since: datetime | None
    waiting: int = Field(description="Deliveries that wait; counted up to 10,000.")


class EndpointDetail(Endpoint):
    """An endpoint and how it did in the last 24 hours."""

    monitoring: Monitoring


class Statistics(Monitoring):
    """How an endpoint did in a period. Attempts are counted up to two seconds late."""

    period: str
    since: datetime
    attempts: int
    succeeded: int
    failed: int
    per_minute: float = Field(description="Attempts per minute.")
    p95_latency_ms: float | None = Field(
        description="Upper bound of the histogram's slot that holds the 95th percentile."
    )
    hold: str | None = Field(description="Why nothing is sent now.")
    hold_until: datetime | None = Field(description="When it is tried again; null: when somebody says so.")
    breaker: Literal["closed", "open", "half_open"]


class TrialSent(BaseModel):
    """A test event on its way; with `wait`, what came of its first attempt."""

    event: str
    delivery: str
    state: str
    reason: str | None
    attempts: int
    status: int | None = Field(description="The receiver's HTTP status.")
    error_class: str | None
    message: str | None
    total_ms: float | None


class JsonWebKeys(BaseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]


class Fault(BaseModel):
    """What is wrong with a field."""

    path: str
    message: str


class Imported(BaseModel):
    """What became of one endpoint of an import."""

    index: int
    name: str | None
    result: Literal["created", "valid", "refused"]
    id: str | None = None
    signing_secret: str | None = Field(default=None, description="Of a secret that the hub made.")
    errors: list[Fault] = []


class ImportReport(BaseModel):
    """What became of an import, in its order."""

    dry_run: bool
    created: int
    refused: int
    data: list[Imported]


_AS_STORED = (
    "name", "description", "url", "kind", "event_types", "labels", "filter", "transformations", "headers", "public_key",
    "signature_profiles", "auth", "timeout_seconds", "retry_policy", "max_in_flight", "rate_limit", "drain_rate",
    "ordering", "ip_allow_list", "metadata", "challenge", "status", "status_reason", "version", "created_at",
    "updated_at",
)  # fmt: skip


def shown_secrets(row: Row[Any]) -> list[uuid.UUID]:
    """The secrets of which something is shown."""
    ids = [row.secret_id, row.auth_secret_id, *(one.secret_id for one in live(row.previous_secrets))]
    return [one for one in ids if one is not None]


def endpoint_fields(
    row: Row[Any], shown: Mapping[uuid.UUID, Description], hold: str | None, now: datetime
) -> dict[str, Any]:
    """The fields of `Endpoint`.

    Args:
        row: of the table `endpoint`.
        shown: of the ids of `shown_secrets`, what may be shown.
        hold: of its lane.
        now: what has ended by then is not shown.
    """
    return {name: getattr(row, name) for name in _AS_STORED} | {
        "id": format_id(Kind.ENDPOINT, row.id),
        "secret": _secret(shown.get(row.secret_id)),
        "previous_secrets": [
            OldSecretView(last4=found.last4, fingerprint=found.fingerprint, expires_at=one.expires_at)
            for one in live(row.previous_secrets, now)
            if (found := shown.get(one.secret_id)) is not None
        ],
        "previous_public_keys": [
            OldKeyView(public_key=one.public_key, expires_at=one.expires_at)
            for one in live(row.previous_keys, now)
            if one.public_key is not None
        ],
        "auth_secret": _secret(shown.get(row.auth_secret_id)),
        "client_certificate": _certificate(row.certificate),
        "batch": BatchView(size=row.batch_size, wait_seconds=row.batch_wait_seconds),
        "hold": hold,
        "created_by": None if row.created_by is None else format_id(Kind.API_KEY, row.created_by),
    }


def _secret(found: Description | None) -> SecretView | None:
    return None if found is None else SecretView(last4=found.last4, fingerprint=found.fingerprint)


def _certificate(chain: str | None) -> CertificateView | None:
    if chain is None:
        return None
    own = ClientCertificate(chain.encode(), Secret(""))
    return CertificateView(subject=own.subject, expires_at=own.expires_at)
