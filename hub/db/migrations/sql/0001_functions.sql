-- The SQL door: publish and execute from inside another service's own transaction. What that transaction commits is
-- accepted; what it rolls back never was. NOTIFY rings when it commits.
--
-- SECURITY DEFINER with a pinned search_path: a service's role needs EXECUTE on a function and no right on any table.
-- pg_temp is named, and last: left out, it would be searched first, and a type that the caller made there would run
-- the caller's code with the owner's rights.

CREATE FUNCTION hub.uuid7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- A random UUIDv4 whose first 48 bits become the Unix time in milliseconds and whose version nibble 4 becomes 7.
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;

CREATE FUNCTION hub.public_id(prefix text, id uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT prefix || '_' || replace(id::text, '-', '') $$;

-- The uuid inside a public id such as ten_0199…; NULL when it is of another kind or malformed.
CREATE FUNCTION hub.parse_id(prefix text, id text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN id ~ ('^' || prefix || '_[0-9a-f]{32}$') THEN right(id, 32)::uuid END $$;

CREATE FUNCTION hub.require_tenant(tenant text) RETURNS uuid
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found uuid := (SELECT t.id FROM hub.tenant t WHERE t.id = hub.parse_id('ten', tenant));
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'hub: there is no tenant %', coalesce(tenant, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass its id, ten_…; `hub tenants list` shows it.';
    END IF;
    RETURN found;
END
$$;

-- JSON that every door accepts: no duplicate keys (checked from Postgres 16 on), nothing that jsonb cannot hold, and
-- nothing that another program cannot read back: nested 64 deep at most, numbers within a double or whole ones of up to
-- 4300 digits.
CREATE FUNCTION hub.check_json(what text, value json, max_bytes integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_unique boolean := true;
    skeleton text;
    shorter text;
    number text;
    level integer := 0;
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION 'hub: % must not be NULL', what USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF octet_length(value::text) > max_bytes THEN
        RAISE EXCEPTION 'hub: % is % bytes; at most % are allowed', what, octet_length(value::text), max_bytes
            USING ERRCODE = 'string_data_right_truncation';
    END IF;
    PERFORM value::jsonb;
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE 'SELECT $1 IS JSON WITH UNIQUE KEYS' INTO is_unique USING value::text;
        IF NOT is_unique THEN
            RAISE EXCEPTION 'hub: % holds a duplicate key', what USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END IF;
    -- Without its texts a bracket is a bracket and a digit is part of a number.
    skeleton := regexp_replace(value::text, '"([^"\\]|\\.)*"', '', 'g');
    IF skeleton ~ '[0-9]{255}|[eE][+]?[0-9]{3}' THEN
        FOR number IN SELECT m[1] FROM regexp_matches(skeleton, '([0-9][0-9.eE+-]*)', 'g') AS m LOOP
            IF (CASE WHEN number ~ '[.eE]' THEN number::numeric > 1.7976931348623157e308
                     ELSE length(number) > 4300 END) THEN
                RAISE EXCEPTION 'hub: % holds a number beyond the range of a double', what
                    USING ERRCODE = 'numeric_value_out_of_range';
            END IF;
        END LOOP;
    END IF;
    -- Innermost pairs first: each round takes one level away.
    skeleton := regexp_replace(skeleton, '[^][{}]+', '', 'g');
    LOOP
        shorter := regexp_replace(skeleton, '\[\]|\{\}', '', 'g');
        EXIT WHEN shorter = '';
        level := level + 1;
        IF level >= 64 THEN
            RAISE EXCEPTION 'hub: % is nested deeper than 64 levels', what
                USING ERRCODE = 'program_limit_exceeded';
        END IF;
        skeleton := shorter;
    END LOOP;
END
$$;

-- Take an idempotency key. NULL: it is new. Otherwise the id of what the first use made.
CREATE FUNCTION hub.claim_key(tenant uuid, key_scope text, new_key text, hash bytea, resource uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    used hub.idempotency_key%ROWTYPE;
BEGIN
    INSERT INTO hub.idempotency_key AS k (tenant_id, scope, key, body_hash, resource_id)
    VALUES (tenant, key_scope, new_key, hash, resource)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO used FROM hub.idempotency_key k
     WHERE k.tenant_id = tenant AND k.scope = key_scope AND k.key = new_key;
    IF used.body_hash IS DISTINCT FROM hash THEN
        RAISE EXCEPTION 'hub: % was used before with other content', new_key
            USING ERRCODE = 'unique_violation', HINT = 'Use a new one for a new request.';
    END IF;
    RETURN used.resource_id;
END
$$;

CREATE FUNCTION hub.publish_event(
    tenant text, type text, data json, id text DEFAULT NULL, labels text[] DEFAULT NULL,
    ordering_key text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL, expires_at timestamptz DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant_id uuid := hub.require_tenant(tenant);
    row_id uuid := hub.uuid7();
    known uuid;
BEGIN
    IF type IS NULL OR length(type) > 128 OR type !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' THEN
        RAISE EXCEPTION 'hub: type must be dotted words of letters, digits, _ and -, such as invoice.paid'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF id IS NOT NULL AND id !~ '^[A-Za-z0-9_:-]{1,128}$' THEN
        RAISE EXCEPTION 'hub: id must be 1 to 128 letters, digits, _, : or -'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(labels) > 20 OR EXISTS (
        SELECT FROM unnest(labels) AS l(label) WHERE label IS NULL OR label !~ '^[A-Za-z0-9_.:/-]{1,64}$'
    ) THEN
        RAISE EXCEPTION 'hub: labels must be up to 20 of 1 to 64 letters, digits, _, -, ., : or /'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF ordering_key IS NOT NULL AND ordering_key !~ '^[\x21-\x7e]{1,128}$' THEN
        RAISE EXCEPTION 'hub: ordering_key must be 1 to 128 visible ASCII characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF deliver_at > now() + interval '365 days' THEN
        RAISE EXCEPTION 'hub: deliver_at must be within 365 days' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF expires_at <= greatest(now(), deliver_at) THEN
        RAISE EXCEPTION 'hub: expires_at must be in the future and after deliver_at'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM hub.check_json('data', data, 1048576);
    IF id IS NOT NULL THEN
        known := hub.claim_key(
            tenant_id, 'event', id,
            sha256(convert_to(type, 'UTF8') || '\x00'::bytea || convert_to(data::text, 'UTF8')), row_id);
        IF known IS NOT NULL THEN
            RETURN hub.public_id('msg', known);
        END IF;
    END IF;
    INSERT INTO hub.message (id, tenant_id, type, event_id, data, source, labels, ordering_key, deliver_at, expires_at)
    VALUES (row_id, tenant_id, type, id, data::text, 'sql', nullif(labels, '{}'), ordering_key,
            CASE WHEN deliver_at > now() THEN deliver_at END, expires_at);
    INSERT INTO hub.outbox (message_id, tenant_id, due_at, ordering_key, size)
    VALUES (row_id, tenant_id, greatest(now(), deliver_at), ordering_key, octet_length(data::text));
    IF deliver_at IS NULL OR deliver_at <= now() THEN
        PERFORM pg_notify('hub_bell', 'hub.deliveries.send');
    END IF;
    RETURN hub.public_id('msg', row_id);
END
$$;

-- What is in the input is checked when the call is made; what is wrong with it ends the execution as failed, with the
-- reason in its row.
CREATE FUNCTION hub.execute_integration(
    tenant text, integration text, operation text, input json DEFAULT '{}', idempotency_key text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner uuid := hub.require_tenant(tenant);
    row_id uuid := hub.uuid7();
    found hub.integration%ROWTYPE;
    known uuid;
BEGIN
    SELECT * INTO found FROM hub.integration i
     WHERE i.id = hub.parse_id('int', integration) AND i.tenant_id = owner;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'hub: there is no integration %', coalesce(integration, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass its id, int_….';
    END IF;
    IF found.status = 'inactive' THEN
        RAISE EXCEPTION 'hub: the integration is %; nothing is accepted for it until it is active', found.status
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF operation IS NULL OR NOT (operation = 'request' OR found.operations ? operation) THEN
        RAISE EXCEPTION 'hub: the integration has no operation %', coalesce(operation, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Who calls through SQL has no key, role or user that access rules could name.
    IF jsonb_array_length(coalesce(found.access -> 'api_keys', '[]')) > 0
       OR jsonb_array_length(coalesce(found.access -> 'users', '[]')) > 0
       OR jsonb_array_length(coalesce(found.access -> 'roles', '[]')) > 0 THEN
        RAISE EXCEPTION 'hub: the access rules of the integration allow only some callers'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Execute it over HTTP, with a key that they name.';
    END IF;
    PERFORM hub.check_json('input', input, 1048576);
    IF json_typeof(input) <> 'object' THEN
        RAISE EXCEPTION 'hub: input must be a JSON object, such as {"path": {"id": 1}}'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF idempotency_key IS NOT NULL THEN
        IF idempotency_key !~ '^[\x21-\x7e]{1,255}$' THEN
            RAISE EXCEPTION 'hub: idempotency_key must be 1 to 255 visible ASCII characters without spaces'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        known := hub.claim_key(
            owner, 'executions.submit.sql', idempotency_key,
            sha256(convert_to(integration || ' ' || operation || ' ' || input::text, 'UTF8')), row_id);
        IF known IS NOT NULL THEN
            RETURN hub.public_id('exe', known);
        END IF;
    END IF;
    -- A trace of its own (W3C Trace Context); its id is the row's.
    INSERT INTO hub.execution (id, tenant_id, integration_id, operation, input, source, traceparent)
    VALUES (row_id, owner, found.id, operation, input, 'sql',
            format('00-%s-%s-01', replace(row_id::text, '-', ''), substr(md5(row_id::text), 1, 16)));
    PERFORM pg_notify('hub_bell', 'hub.executions.run');
    RETURN hub.public_id('exe', row_id);
END
$$;
