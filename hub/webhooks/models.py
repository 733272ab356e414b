"""Tables of outgoing webhooks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.models import lane_tables, ledger_columns
from hub.db.schema import Timestamp, created_at, id_column, metadata


def _one_of(name: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{name} IN ({', '.join(repr(value) for value in values)})", name=name)


#: Where a tenant wants its events.
endpoint = Table(
    "endpoint",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False),
    # What it is for: the tenant's events, or what the hub itself has to say about them.
    Column("kind", Text, _one_of("kind", "events", "operations"), nullable=False, server_default="events"),
    # Exact types or `invoice.*`; `*` takes all.
    Column(
        "event_types",
        ARRAY(Text),
        CheckConstraint("array_position(event_types, NULL) IS NULL", name="event_types"),
        nullable=False,
    ),
    # Not empty: only events that carry one of them.
    Column("labels", ARRAY(Text), nullable=False, server_default="{}"),
    # See hub.transforms.
    Column("filter", JSONB(none_as_null=True)),
    Column("transformations", JSONB, nullable=False, server_default="[]"),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    # Signing: the current secret; older ones that still sign, as [{"secret_id", "expires_at"}].
    Column("secret_id", Uuid, nullable=False),
    Column("previous_secrets", JSONB, nullable=False, server_default="[]"),
    # An ed25519 key that signs beside it (v1a), older ones in the same form, and further signature profiles.
    Column("key_id", Uuid),
    Column("public_key", Text),
    Column("previous_keys", JSONB, nullable=False, server_default="[]"),
    Column("signature_profiles", JSONB, nullable=False, server_default="[]"),
    # How the receiver wants to know the hub; the secret part is in the vault.
    Column("auth", JSONB, nullable=False, server_default='{"mode": "none"}'),
    Column("auth_secret_id", Uuid),
    Column("certificate", Text),
    Column("certificate_key_id", Uuid),
    # None: the deployment's.
    Column("timeout_seconds", REAL),
    Column("retry_policy", JSONB(none_as_null=True)),
    Column("max_in_flight", Integer),
    Column("rate_limit", REAL),
    Column("drain_rate", REAL),
    Column(
        "ordering",
        Text,
        _one_of("ordering", "best_effort", "strict"),
        nullable=False,
        server_default="best_effort",
    ),
    Column("batch_size", Integer, nullable=False, server_default="1"),
    Column("batch_wait_seconds", REAL, nullable=False, server_default="1"),
    # A note for the receiver's firewall, shown with the endpoint; the hub does not act on it.
    Column("ip_allow_list", ARRAY(Text), nullable=False, server_default="{}"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column(
        "status",
        Text,
        _one_of("status", "active", "paused", "disabled", "unverified"),
        nullable=False,
        server_default="active",
    ),
    Column("status_reason", Text),
    # Nothing is sent to a URL that did not answer for itself; the one that did.
    Column("challenge", Boolean, nullable=False, server_default="false"),
    Column("verified_url", Text),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "id"),
    Index(
        "endpoint_overlap_idx",
        "id",
        postgresql_where=sql("previous_secrets <> '[]'::jsonb OR previous_keys <> '[]'::jsonb"),
    ),
)

#: One published event. Written once; what is still to be done with it is a row of `outbox`.
message = Table(
    "message",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("type", Text, nullable=False),
    # The publisher's id; None: ours. Either is the `webhook-id`.
    Column("event_id", Text),
    # The publisher's JSON text, byte for byte: jsonb would reorder keys and round numbers.
    Column("data", Text, nullable=False),
    # Which door it came through: http, celery, sql, incoming, hub.
    Column("source", Text, nullable=False),
    Column("labels", ARRAY(Text)),
    # Events of one key reach endpoints with strict ordering one after the other.
    Column("ordering_key", Text),
    Column("deliver_at", Timestamp),
    Column("expires_at", Timestamp),
    created_at(),
    # W3C trace context that it came with; None: the one of its id. And how many flows led to it.
    Column("traceparent", Text),
    Column("depth", SmallInteger, nullable=False, server_default="0"),
    # Why it went nowhere: no_endpoint, schema_invalid, expired, cancelled, fan_out_failed.
    Column("reason", Text),
    Index(None, "tenant_id", "id"),
    postgresql_partition_by="RANGE (id)",
)

#: Messages that are not fanned out yet.
outbox = Table(
    "outbox",
    metadata,
    id_column("message_id", primary_key=True),
    id_column("tenant_id"),
    Column("due_at", Timestamp, nullable=False, server_default=sql("now()")),
    Column("ordering_key", Text),
    # Fan-out to many endpoints goes in steps: the last endpoint that has its delivery.
    Column("after_endpoint", Uuid),
    # So does what else begins with it, before its endpoints: the last that began; all zeros: none yet.
    Column("after_trigger", Uuid),
    # Bytes of its data: a claim takes no more than a process can hold.
    Column("size", Integer, nullable=False),
    Index(None, "due_at"),
    Index(None, "tenant_id", "ordering_key", "message_id", postgresql_where=sql("ordering_key IS NOT NULL")),
)

#: One message on its way to one endpoint. Its id begins with its message's first 64 bits, so that the deliveries of a
#: message are neighbours in the primary key and share its day.
delivery = Table(
    "delivery",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("message_id"),
    id_column("endpoint_id"),
    created_at(),
    *ledger_columns(),
    # Set where its endpoint asks for strict ordering.
    Column("ordering_key", Text),
    # Its lane counts it as in flight, for as long as it is leased.
    Column("counted", Boolean, nullable=False, server_default="false"),
    # How often it was revived after its end.
    Column("replay_no", SmallInteger, nullable=False, server_default="0"),
    # Nothing here may name a column that changes: recording an outcome would write every index again.
    Index(None, "endpoint_id", "id"),
    postgresql_partition_by="RANGE (id)",
)

delivery_lane, delivery_waiting, delivery_lease, delivery_order = lane_tables("delivery", "endpoint")

#: How an endpoint has been doing lately; reviewed by beat.
endpoint_health = Table(
    "endpoint_health",
    metadata,
    id_column("endpoint_id", primary_key=True),
    id_column("tenant_id"),
    Column("last_success_at", Timestamp),
    Column("last_failure_at", Timestamp),
    # The first failure since the last success, and on how many messages there were failures since.
    Column("failing_since", Timestamp),
    Column("failed_messages", BigInteger, nullable=False, server_default="0"),
    # Percent of the way to being disabled that was announced.
    Column("warned", SmallInteger, nullable=False, server_default="0"),
    Index(None, "failing_since", postgresql_where=sql("failing_since IS NOT NULL")),
)

#: Upper bounds of the latency histogram, milliseconds.
LATENCY_BOUNDS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000)


def _histogram() -> list[Column[Any]]:
    return [Column(f"le_{bound}", Integer, nullable=False) for bound in LATENCY_BOUNDS]


#: Attempts by endpoint and minute.
endpoint_metric = Table(
    "endpoint_metric",
    metadata,
    id_column("endpoint_id"),
    Column("bucket", Timestamp, nullable=False),
    id_column("tenant_id"),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("latency_sum_ms", REAL, nullable=False),
    *_histogram(),
    PrimaryKeyConstraint("endpoint_id", "bucket"),
    Index(None, "bucket"),
    Index(None, "tenant_id", "bucket"),
)
