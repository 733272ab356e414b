-- Every table of the first release. Tables cut by day (PARTITION BY RANGE) get their partitions from
-- hub.db.partitions.

CREATE TABLE hub.attempt (
    id UUID NOT NULL,
    work_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    worker TEXT,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    outcome TEXT NOT NULL CONSTRAINT attempt_outcome_check CHECK (outcome IN ('succeeded', 'failed', 'interrupted')),
    late BOOLEAN DEFAULT 'false' NOT NULL,
    error_class TEXT,
    message TEXT,
    status INTEGER,
    peer TEXT,
    dns_ms REAL,
    connect_ms REAL,
    tls_ms REAL,
    first_byte_ms REAL,
    total_ms REAL,
    request_headers JSON,
    response_headers JSON,
    response_body BYTEA,
    truncated BOOLEAN DEFAULT 'false' NOT NULL,
    CONSTRAINT attempt_pkey PRIMARY KEY (work_id, id)
)
 PARTITION BY RANGE (id);

CREATE TABLE hub.audit_entry (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    actor UUID,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details JSONB DEFAULT '{}' NOT NULL,
    CONSTRAINT audit_entry_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_entry_tenant_id_id_idx ON hub.audit_entry (tenant_id, id);
CREATE INDEX audit_entry_tenant_id_subject_id_idx ON hub.audit_entry (tenant_id, subject, id);

CREATE TABLE hub.catalogue_setting (
    tenant_id UUID NOT NULL,
    unknown_event_types TEXT DEFAULT 'allow' NOT NULL CONSTRAINT catalogue_setting_unknown_event_types_check CHECK (unknown_event_types IN ('allow', 'warn', 'enforce')),
    retry_policy JSONB,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT catalogue_setting_pkey PRIMARY KEY (tenant_id)
);

CREATE TABLE hub.check_run (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    scheduled_for TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    state TEXT DEFAULT 'due' NOT NULL CONSTRAINT check_run_state_check CHECK (state IN ('due', 'leased', 'held', 'done', 'failed', 'cancelled', 'expired', 'skipped')),
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    fence INTEGER DEFAULT '0' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    step INTEGER DEFAULT '0' NOT NULL,
    lapses SMALLINT DEFAULT '0' NOT NULL,
    reason TEXT,
    finished_at TIMESTAMP WITH TIME ZONE,
    ok BOOLEAN,
    status INTEGER,
    latency_ms REAL,
    error_class TEXT,
    message TEXT,
    CONSTRAINT check_run_pkey PRIMARY KEY (id)
)
 PARTITION BY RANGE (id);
CREATE INDEX check_run_due_idx ON hub.check_run (due_at) WHERE state = 'due';
CREATE INDEX check_run_integration_id_id_idx ON hub.check_run (integration_id, id);
CREATE INDEX check_run_lease_idx ON hub.check_run (lease_until) WHERE state = 'leased';
CREATE INDEX check_run_live_idx ON hub.check_run (integration_id) WHERE state IN ('due', 'leased');

CREATE TABLE hub.delivery (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    message_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    state TEXT DEFAULT 'due' NOT NULL CONSTRAINT delivery_state_check CHECK (state IN ('due', 'leased', 'held', 'done', 'failed', 'cancelled', 'expired', 'skipped')),
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    fence INTEGER DEFAULT '0' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    step INTEGER DEFAULT '0' NOT NULL,
    lapses SMALLINT DEFAULT '0' NOT NULL,
    reason TEXT,
    finished_at TIMESTAMP WITH TIME ZONE,
    ordering_key TEXT,
    counted BOOLEAN DEFAULT 'false' NOT NULL,
    replay_no SMALLINT DEFAULT '0' NOT NULL,
    CONSTRAINT delivery_pkey PRIMARY KEY (id)
)
 PARTITION BY RANGE (id);
CREATE INDEX delivery_endpoint_id_id_idx ON hub.delivery (endpoint_id, id);

CREATE TABLE hub.delivery_lane (
    endpoint_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    wake_at TIMESTAMP WITH TIME ZONE,
    hold TEXT,
    hold_until TIMESTAMP WITH TIME ZONE,
    holds SMALLINT DEFAULT '0' NOT NULL,
    in_flight INTEGER DEFAULT '0' NOT NULL,
    tokens DOUBLE PRECISION DEFAULT '0' NOT NULL,
    refilled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    draining BOOLEAN DEFAULT 'false' NOT NULL,
    discard TEXT,
    max_in_flight INTEGER,
    rate DOUBLE PRECISION,
    drain_rate DOUBLE PRECISION,
    batch_size INTEGER DEFAULT '1' NOT NULL,
    batch_wait DOUBLE PRECISION DEFAULT '0' NOT NULL,
    CONSTRAINT delivery_lane_pkey PRIMARY KEY (endpoint_id)
)
 WITH (fillfactor = 50);
CREATE INDEX delivery_lane_discard_idx ON hub.delivery_lane (endpoint_id) WHERE discard IS NOT NULL;
CREATE INDEX delivery_lane_hold_idx ON hub.delivery_lane (hold) WHERE hold IS NOT NULL;
CREATE INDEX delivery_lane_wake_at_idx ON hub.delivery_lane (wake_at);

CREATE TABLE hub.delivery_lease (
    id UUID NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    ids UUID[] NOT NULL,
    CONSTRAINT delivery_lease_pkey PRIMARY KEY (id)
);
CREATE INDEX delivery_lease_until_idx ON hub.delivery_lease (until);

CREATE TABLE hub.delivery_order (
    endpoint_id UUID NOT NULL,
    ordering_key TEXT NOT NULL,
    id UUID NOT NULL,
    CONSTRAINT delivery_order_pkey PRIMARY KEY (endpoint_id, ordering_key, id)
);

CREATE TABLE hub.delivery_waiting (
    endpoint_id UUID NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    id UUID NOT NULL,
    CONSTRAINT delivery_waiting_pkey PRIMARY KEY (endpoint_id, due_at, id)
);

CREATE TABLE hub.endpoint (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    url TEXT NOT NULL,
    kind TEXT DEFAULT 'events' NOT NULL CONSTRAINT endpoint_kind_check CHECK (kind IN ('events', 'operations')),
    event_types TEXT[] NOT NULL CONSTRAINT endpoint_event_types_check CHECK (array_position(event_types, NULL) IS NULL),
    labels TEXT[] DEFAULT '{}' NOT NULL,
    filter JSONB,
    transformations JSONB DEFAULT '[]' NOT NULL,
    headers JSONB DEFAULT '{}' NOT NULL,
    secret_id UUID NOT NULL,
    previous_secrets JSONB DEFAULT '[]' NOT NULL,
    key_id UUID,
    public_key TEXT,
    previous_keys JSONB DEFAULT '[]' NOT NULL,
    signature_profiles JSONB DEFAULT '[]' NOT NULL,
    auth JSONB DEFAULT '{"mode": "none"}' NOT NULL,
    auth_secret_id UUID,
    certificate TEXT,
    certificate_key_id UUID,
    timeout_seconds REAL,
    retry_policy JSONB,
    max_in_flight INTEGER,
    rate_limit REAL,
    drain_rate REAL,
    ordering TEXT DEFAULT 'best_effort' NOT NULL CONSTRAINT endpoint_ordering_check CHECK (ordering IN ('best_effort', 'strict')),
    batch_size INTEGER DEFAULT '1' NOT NULL,
    batch_wait_seconds REAL DEFAULT '1' NOT NULL,
    ip_allow_list TEXT[] DEFAULT '{}' NOT NULL,
    metadata JSONB DEFAULT '{}' NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL CONSTRAINT endpoint_status_check CHECK (status IN ('active', 'paused', 'disabled', 'unverified')),
    status_reason TEXT,
    challenge BOOLEAN DEFAULT 'false' NOT NULL,
    verified_url TEXT,
    version INTEGER DEFAULT '1' NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT endpoint_pkey PRIMARY KEY (id),
    CONSTRAINT endpoint_tenant_id_name_key UNIQUE (tenant_id, name)
);
CREATE INDEX endpoint_overlap_idx ON hub.endpoint (id) WHERE previous_secrets <> '[]'::jsonb OR previous_keys <> '[]'::jsonb;
CREATE INDEX endpoint_tenant_id_id_idx ON hub.endpoint (tenant_id, id);

CREATE TABLE hub.endpoint_health (
    endpoint_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    last_success_at TIMESTAMP WITH TIME ZONE,
    last_failure_at TIMESTAMP WITH TIME ZONE,
    failing_since TIMESTAMP WITH TIME ZONE,
    failed_messages BIGINT DEFAULT '0' NOT NULL,
    warned SMALLINT DEFAULT '0' NOT NULL,
    CONSTRAINT endpoint_health_pkey PRIMARY KEY (endpoint_id)
);
CREATE INDEX endpoint_health_failing_since_idx ON hub.endpoint_health (failing_since) WHERE failing_since IS NOT NULL;

CREATE TABLE hub.endpoint_metric (
    endpoint_id UUID NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    tenant_id UUID NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    latency_sum_ms REAL NOT NULL,
    le_10 INTEGER NOT NULL,
    le_25 INTEGER NOT NULL,
    le_50 INTEGER NOT NULL,
    le_100 INTEGER NOT NULL,
    le_250 INTEGER NOT NULL,
    le_500 INTEGER NOT NULL,
    le_1000 INTEGER NOT NULL,
    le_2500 INTEGER NOT NULL,
    le_5000 INTEGER NOT NULL,
    le_10000 INTEGER NOT NULL,
    le_30000 INTEGER NOT NULL,
    CONSTRAINT endpoint_metric_pkey PRIMARY KEY (endpoint_id, bucket)
);
CREATE INDEX endpoint_metric_bucket_idx ON hub.endpoint_metric (bucket);
CREATE INDEX endpoint_metric_tenant_id_bucket_idx ON hub.endpoint_metric (tenant_id, bucket);

CREATE TABLE hub.event_type (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    title TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    labels TEXT[] DEFAULT '{}' NOT NULL,
    deprecated BOOLEAN DEFAULT 'false' NOT NULL,
    validation TEXT DEFAULT 'off' NOT NULL CONSTRAINT event_type_validation_check CHECK (validation IN ('off', 'warn', 'enforce')),
    retry_policy JSONB,
    current_version INTEGER,
    archived_at TIMESTAMP WITH TIME ZONE,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT event_type_pkey PRIMARY KEY (id),
    CONSTRAINT event_type_tenant_id_name_key UNIQUE (tenant_id, name)
);
CREATE INDEX event_type_tenant_id_id_idx ON hub.event_type (tenant_id, id);

CREATE TABLE hub.execution (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    operation TEXT NOT NULL,
    input JSON DEFAULT '{}' NOT NULL,
    source TEXT NOT NULL,
    caller UUID,
    on_behalf_of TEXT,
    component TEXT,
    batch_id UUID,
    schedule_id UUID,
    replay_of UUID,
    event_id UUID,
    flow_id UUID,
    mapping JSON,
    traceparent TEXT,
    depth SMALLINT DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    state TEXT DEFAULT 'due' NOT NULL CONSTRAINT execution_state_check CHECK (state IN ('due', 'leased', 'held', 'done', 'failed', 'cancelled', 'expired', 'skipped')),
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    fence INTEGER DEFAULT '0' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    step INTEGER DEFAULT '0' NOT NULL,
    lapses SMALLINT DEFAULT '0' NOT NULL,
    reason TEXT,
    finished_at TIMESTAMP WITH TIME ZONE,
    status INTEGER,
    response_headers JSON,
    data TEXT,
    data_base64 BOOLEAN DEFAULT 'false' NOT NULL,
    truncated BOOLEAN DEFAULT 'false' NOT NULL,
    error JSON,
    error_class TEXT,
    request JSON,
    cached BOOLEAN DEFAULT 'false' NOT NULL,
    timings JSON,
    usage JSON,
    latency_ms REAL,
    data_size INTEGER,
    CONSTRAINT execution_pkey PRIMARY KEY (id)
)
 PARTITION BY RANGE (id);
CREATE INDEX execution_batch_idx ON hub.execution (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX execution_due_idx ON hub.execution (due_at) WHERE state = 'due';
CREATE INDEX execution_due_integration_idx ON hub.execution (integration_id, due_at) WHERE state = 'due';
CREATE INDEX execution_event_idx ON hub.execution (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX execution_failed_idx ON hub.execution (tenant_id, error_class, id) WHERE state = 'failed';
CREATE INDEX execution_flow_idx ON hub.execution (flow_id, id) WHERE flow_id IS NOT NULL;
CREATE INDEX execution_held_idx ON hub.execution (integration_id) WHERE state = 'held';
CREATE INDEX execution_integration_id_id_idx ON hub.execution (integration_id, id);
CREATE INDEX execution_integration_id_operation_id_idx ON hub.execution (integration_id, operation, id);
CREATE INDEX execution_lease_idx ON hub.execution (lease_until) WHERE state = 'leased';
CREATE INDEX execution_schedule_idx ON hub.execution (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX execution_tenant_id_id_idx ON hub.execution (tenant_id, id);
CREATE INDEX execution_user_idx ON hub.execution (tenant_id, on_behalf_of, id) WHERE on_behalf_of IS NOT NULL;

CREATE TABLE hub.health_change (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT health_change_pkey PRIMARY KEY (id)
);
CREATE INDEX health_change_integration_id_id_idx ON hub.health_change (integration_id, id);

CREATE TABLE hub.idempotency_key (
    tenant_id UUID NOT NULL,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash BYTEA NOT NULL,
    resource_id UUID,
    response JSONB,
    status INTEGER,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (tenant_id, scope, key)
);
CREATE INDEX idempotency_key_created_at_idx ON hub.idempotency_key (created_at);

CREATE TABLE hub.inbound (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    source_id UUID NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    query TEXT DEFAULT '' NOT NULL,
    peer TEXT,
    headers JSON NOT NULL,
    body BYTEA,
    body_bytes INTEGER NOT NULL,
    outcome TEXT NOT NULL CONSTRAINT inbound_outcome_check CHECK (outcome IN ('accepted', 'duplicate', 'handshake', 'rejected')),
    reason TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    event_id TEXT,
    event_type TEXT,
    message_id UUID,
    CONSTRAINT inbound_pkey PRIMARY KEY (id)
)
 PARTITION BY RANGE (id);
CREATE INDEX inbound_source_id_id_idx ON hub.inbound (source_id, id);
CREATE INDEX inbound_source_id_outcome_id_idx ON hub.inbound (source_id, outcome, id) WHERE outcome <> 'accepted';

CREATE TABLE hub.inbound_key (
    source_id UUID NOT NULL,
    key BYTEA NOT NULL,
    message_id UUID NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT inbound_key_pkey PRIMARY KEY (source_id, key)
);
CREATE INDEX inbound_key_expires_at_idx ON hub.inbound_key (expires_at);

CREATE TABLE hub.integration (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    type TEXT DEFAULT 'api' NOT NULL CONSTRAINT integration_type_check CHECK (type IN ('api', 'webhook', 'oauth', 'database', 'file_transfer', 'messaging', 'ai_service')),
    protocol TEXT DEFAULT 'rest' NOT NULL CONSTRAINT integration_protocol_check CHECK (protocol IN ('rest', 'graphql', 'websocket', 'grpc', 'soap', 'custom')),
    base_url TEXT NOT NULL,
    settings JSONB DEFAULT '{}' NOT NULL,
    auth JSONB DEFAULT '{"mode": "none"}' NOT NULL,
    tls JSONB,
    secret_ids JSONB DEFAULT '{}' NOT NULL,
    headers JSONB DEFAULT '{}' NOT NULL,
    timeout_seconds REAL DEFAULT '30' NOT NULL,
    max_response_bytes INTEGER DEFAULT '1048576' NOT NULL,
    follow_redirects SMALLINT DEFAULT '0' NOT NULL,
    retry_policy JSONB DEFAULT '{}' NOT NULL,
    operations JSONB DEFAULT '{}' NOT NULL,
    request_transform JSONB DEFAULT '[]' NOT NULL,
    response_transform JSONB DEFAULT '[]' NOT NULL,
    error_mapping JSONB DEFAULT '[]' NOT NULL,
    rate_limit JSONB DEFAULT '{}' NOT NULL,
    caching JSONB DEFAULT '{}' NOT NULL,
    quota JSONB DEFAULT '{}' NOT NULL,
    access JSONB DEFAULT '{}' NOT NULL,
    data_policy JSONB DEFAULT '{}' NOT NULL,
    logging JSONB DEFAULT '{}' NOT NULL,
    health_check JSONB,
    alerts JSONB DEFAULT '[]' NOT NULL,
    next_check_at TIMESTAMP WITH TIME ZONE,
    status TEXT DEFAULT 'active' NOT NULL CONSTRAINT integration_status_check CHECK (status IN ('active', 'inactive', 'maintenance', 'deprecated')),
    tags TEXT[] DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    granted_at TIMESTAMP WITH TIME ZONE,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT integration_pkey PRIMARY KEY (id),
    CONSTRAINT integration_tenant_id_name_key UNIQUE (tenant_id, name)
);
CREATE INDEX integration_alerts_idx ON hub.integration (id) WHERE alerts <> '[]';
CREATE INDEX integration_next_check_idx ON hub.integration (next_check_at) WHERE next_check_at IS NOT NULL;
CREATE INDEX integration_tags_idx ON hub.integration USING gin (tags);
CREATE INDEX integration_tenant_id_id_idx ON hub.integration (tenant_id, id);

CREATE TABLE hub.integration_alert (
    integration_id UUID NOT NULL,
    name TEXT NOT NULL,
    tenant_id UUID NOT NULL,
    firing BOOLEAN NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    value DOUBLE PRECISION,
    CONSTRAINT integration_alert_pkey PRIMARY KEY (integration_id, name)
);

CREATE TABLE hub.integration_health (
    integration_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    status TEXT NOT NULL CONSTRAINT integration_health_status_check CHECK (status IN ('unknown', 'healthy', 'degraded', 'unhealthy')),
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    last_check_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_latency_ms REAL,
    consecutive_failures INTEGER DEFAULT '0' NOT NULL,
    last_error TEXT,
    CONSTRAINT integration_health_pkey PRIMARY KEY (integration_id)
);
CREATE INDEX integration_health_tenant_id_status_idx ON hub.integration_health (tenant_id, status);

CREATE TABLE hub.integration_metric (
    tenant_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL CONSTRAINT integration_metric_source_check CHECK (source IN ('call', 'check')),
    calls INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    latency_ms_sum DOUBLE PRECISION NOT NULL,
    bytes BIGINT NOT NULL,
    le_10 INTEGER NOT NULL,
    le_25 INTEGER NOT NULL,
    le_50 INTEGER NOT NULL,
    le_100 INTEGER NOT NULL,
    le_250 INTEGER NOT NULL,
    le_500 INTEGER NOT NULL,
    le_1000 INTEGER NOT NULL,
    le_2500 INTEGER NOT NULL,
    le_5000 INTEGER NOT NULL,
    le_10000 INTEGER NOT NULL,
    le_30000 INTEGER NOT NULL,
    CONSTRAINT integration_metric_pkey PRIMARY KEY (integration_id, bucket, source)
);
CREATE INDEX integration_metric_bucket_idx ON hub.integration_metric (bucket);
CREATE INDEX integration_metric_tenant_id_bucket_idx ON hub.integration_metric (tenant_id, bucket);

CREATE TABLE hub.integration_usage (
    integration_id UUID NOT NULL,
    period TEXT NOT NULL CONSTRAINT integration_usage_period_check CHECK (period IN ('day', 'month')),
    begins DATE NOT NULL,
    calls BIGINT DEFAULT '0' NOT NULL,
    bytes BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT integration_usage_pkey PRIMARY KEY (integration_id, period, begins)
)
 WITH (fillfactor = 50);

CREATE TABLE hub.leader (
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT leader_pkey PRIMARY KEY (name)
);

CREATE TABLE hub.message (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    type TEXT NOT NULL,
    event_id TEXT,
    data TEXT NOT NULL,
    source TEXT NOT NULL,
    labels TEXT[],
    ordering_key TEXT,
    deliver_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    traceparent TEXT,
    depth SMALLINT DEFAULT '0' NOT NULL,
    reason TEXT,
    CONSTRAINT message_pkey PRIMARY KEY (id)
)
 PARTITION BY RANGE (id);
CREATE INDEX message_tenant_id_id_idx ON hub.message (tenant_id, id);

CREATE TABLE hub.outbox (
    message_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ordering_key TEXT,
    after_endpoint UUID,
    after_trigger UUID,
    size INTEGER NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (message_id)
);
CREATE INDEX outbox_due_at_idx ON hub.outbox (due_at);
CREATE INDEX outbox_tenant_id_ordering_key_message_id_idx ON hub.outbox (tenant_id, ordering_key, message_id) WHERE ordering_key IS NOT NULL;

CREATE TABLE hub.rejected_message (
    id UUID NOT NULL,
    task TEXT,
    queue TEXT,
    reason TEXT NOT NULL,
    headers JSONB,
    body_excerpt TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT rejected_message_pkey PRIMARY KEY (id)
);
CREATE INDEX rejected_message_created_at_idx ON hub.rejected_message (created_at);

CREATE TABLE hub.replay (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL CONSTRAINT replay_kind_check CHECK (kind IN ('failed', 'missing', 'filter', 'all')),
    endpoint_id UUID,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    states TEXT[] DEFAULT '{}' NOT NULL,
    event_types TEXT[] DEFAULT '{}' NOT NULL,
    labels TEXT[] DEFAULT '{}' NOT NULL,
    response TEXT[] DEFAULT '{}' NOT NULL,
    filter JSONB,
    rate DOUBLE PRECISION NOT NULL,
    tokens DOUBLE PRECISION DEFAULT '0' NOT NULL,
    refilled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL CONSTRAINT replay_state_check CHECK (state IN ('pending', 'running', 'paused', 'done', 'cancelled', 'failed')),
    reason TEXT,
    error TEXT,
    errors SMALLINT DEFAULT '0' NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    cursor_endpoint UUID,
    cursor_id UUID,
    fraction DOUBLE PRECISION DEFAULT '0' NOT NULL,
    scanned BIGINT DEFAULT '0' NOT NULL,
    selected BIGINT DEFAULT '0' NOT NULL,
    requeued BIGINT DEFAULT '0' NOT NULL,
    waiting BIGINT DEFAULT '0' NOT NULL,
    worker TEXT,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT replay_pkey PRIMARY KEY (id)
);
CREATE INDEX replay_due_at_idx ON hub.replay (due_at) WHERE state IN ('pending', 'running');
CREATE INDEX replay_open_idx ON hub.replay (tenant_id) WHERE state IN ('pending', 'running', 'paused');
CREATE INDEX replay_tenant_id_id_idx ON hub.replay (tenant_id, id);

CREATE TABLE hub.replay_step (
    replay_id UUID NOT NULL,
    id UUID NOT NULL,
    deliveries UUID[] NOT NULL,
    CONSTRAINT replay_step_pkey PRIMARY KEY (replay_id, id)
);

CREATE TABLE hub.secret (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    field TEXT NOT NULL,
    version INTEGER NOT NULL,
    kek_id TEXT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    previous_kek_id TEXT,
    previous_wrapped_key BYTEA,
    nonce BYTEA NOT NULL,
    ciphertext BYTEA NOT NULL,
    last4 TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT secret_pkey PRIMARY KEY (id),
    CONSTRAINT secret_previous_check CHECK ((previous_kek_id IS NULL) = (previous_wrapped_key IS NULL))
);
CREATE INDEX secret_kek_id_previous_kek_id_idx ON hub.secret (kek_id, previous_kek_id);

CREATE TABLE hub.source (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    verifier JSONB NOT NULL,
    secrets JSONB DEFAULT '[]' NOT NULL,
    event_type TEXT NOT NULL,
    dedupe_by TEXT DEFAULT 'id' NOT NULL CONSTRAINT source_dedupe_by_check CHECK (dedupe_by IN ('id', 'body')),
    dedupe_window_seconds INTEGER NOT NULL,
    ip_allow_list TEXT[] DEFAULT '{}' NOT NULL,
    response JSONB NOT NULL,
    metadata JSONB DEFAULT '{}' NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL CONSTRAINT source_status_check CHECK (status IN ('active', 'paused')),
    version INTEGER DEFAULT '1' NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT source_pkey PRIMARY KEY (id),
    CONSTRAINT source_tenant_id_name_key UNIQUE (tenant_id, name)
);
CREATE INDEX source_tenant_id_id_idx ON hub.source (tenant_id, id);

CREATE TABLE hub.tenant (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    config_version BIGINT DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT tenant_pkey PRIMARY KEY (id),
    CONSTRAINT tenant_name_key UNIQUE (name)
);

CREATE TABLE hub.tick (
    name TEXT NOT NULL,
    scheduled_for TIMESTAMP WITH TIME ZONE NOT NULL,
    owner TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT tick_pkey PRIMARY KEY (name, scheduled_for)
);

CREATE TABLE hub.vault_canary (
    kek_id TEXT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    nonce BYTEA NOT NULL,
    ciphertext BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT vault_canary_pkey PRIMARY KEY (kek_id)
);

CREATE TABLE hub.worker (
    name TEXT NOT NULL,
    queues TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    stopped_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT worker_pkey PRIMARY KEY (name)
);

CREATE TABLE hub.api_key (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    roles TEXT[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT api_key_pkey PRIMARY KEY (id),
    CONSTRAINT api_key_secret_hash_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT api_key_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES hub.tenant (id) ON DELETE CASCADE
);
CREATE INDEX api_key_tenant_id_idx ON hub.api_key (tenant_id);

CREATE TABLE hub.authorization_request (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    state_hash BYTEA,
    secret_id UUID NOT NULL,
    basis TEXT NOT NULL,
    started_by UUID,
    redirect_uri TEXT,
    return_url TEXT,
    interval_seconds INTEGER,
    next_poll_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT authorization_request_pkey PRIMARY KEY (id),
    CONSTRAINT authorization_request_state_hash_key UNIQUE (state_hash),
    CONSTRAINT authorization_request_integration_id_fkey FOREIGN KEY(integration_id) REFERENCES hub.integration (id) ON DELETE CASCADE
);
CREATE INDEX authorization_request_expires_at_idx ON hub.authorization_request (expires_at);
CREATE INDEX authorization_request_integration_id_idx ON hub.authorization_request (integration_id);

CREATE TABLE hub.event_type_version (
    event_type_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    version INTEGER NOT NULL,
    id UUID NOT NULL,
    schema JSON NOT NULL,
    example JSON,
    breaking_changes JSON NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT event_type_version_pkey PRIMARY KEY (event_type_id, version),
    CONSTRAINT event_type_version_event_type_id_fkey FOREIGN KEY(event_type_id) REFERENCES hub.event_type (id) ON DELETE CASCADE
);

CREATE TABLE hub.execution_schedule (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    name TEXT NOT NULL,
    operation TEXT NOT NULL,
    input JSON DEFAULT '{}' NOT NULL,
    cron TEXT,
    timezone TEXT DEFAULT 'UTC' NOT NULL,
    every_seconds DOUBLE PRECISION,
    overlap TEXT NOT NULL CONSTRAINT execution_schedule_overlap_check CHECK (overlap IN ('skip', 'allow')),
    paused BOOLEAN DEFAULT 'false' NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE,
    last_at TIMESTAMP WITH TIME ZONE,
    last_execution_id UUID,
    created_by UUID,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT execution_schedule_pkey PRIMARY KEY (id),
    CONSTRAINT execution_schedule_tenant_id_name_key UNIQUE (tenant_id, name),
    CONSTRAINT execution_schedule_integration_id_fkey FOREIGN KEY(integration_id) REFERENCES hub.integration (id) ON DELETE CASCADE
);
CREATE INDEX execution_schedule_integration_id_idx ON hub.execution_schedule (integration_id);
CREATE INDEX execution_schedule_next_idx ON hub.execution_schedule (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX execution_schedule_tenant_id_id_idx ON hub.execution_schedule (tenant_id, id);

CREATE TABLE hub.flow (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    event_types TEXT[] NOT NULL,
    labels TEXT[] DEFAULT '{}' NOT NULL,
    filter JSONB,
    integration_id UUID NOT NULL,
    operation TEXT NOT NULL,
    mapping JSONB DEFAULT '[]' NOT NULL,
    publish JSONB DEFAULT '[]' NOT NULL,
    paused BOOLEAN DEFAULT 'false' NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT flow_pkey PRIMARY KEY (id),
    CONSTRAINT flow_tenant_id_name_key UNIQUE (tenant_id, name),
    CONSTRAINT flow_integration_id_fkey FOREIGN KEY(integration_id) REFERENCES hub.integration (id) ON DELETE CASCADE
);
CREATE INDEX flow_integration_id_idx ON hub.flow (integration_id);
CREATE INDEX flow_tenant_id_id_idx ON hub.flow (tenant_id, id);

CREATE TABLE hub.integration_grant (
    integration_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    state TEXT DEFAULT 'none' NOT NULL CONSTRAINT integration_grant_state_check CHECK (state IN ('none', 'active', 'needs_reauth')),
    access_secret_id UUID,
    refresh_secret_id UUID,
    basis TEXT DEFAULT '' NOT NULL,
    obtained_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    refresh_at TIMESTAMP WITH TIME ZONE,
    scopes TEXT[] DEFAULT '{}' NOT NULL,
    metadata JSONB DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    rejected_version INTEGER,
    lease_owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    fence BIGINT DEFAULT '0' NOT NULL,
    intent_at TIMESTAMP WITH TIME ZONE,
    failures INTEGER DEFAULT '0' NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    refused_with TEXT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT integration_grant_pkey PRIMARY KEY (integration_id),
    CONSTRAINT integration_grant_integration_id_fkey FOREIGN KEY(integration_id) REFERENCES hub.integration (id) ON DELETE CASCADE
);

CREATE TABLE hub.integration_version (
    integration_id UUID NOT NULL,
    version INTEGER NOT NULL,
    tenant_id UUID NOT NULL,
    document JSONB NOT NULL,
    changed_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT integration_version_pkey PRIMARY KEY (integration_id, version),
    CONSTRAINT integration_version_integration_id_fkey FOREIGN KEY(integration_id) REFERENCES hub.integration (id) ON DELETE CASCADE
);
