"""One integration, ready to be called: everything that a definition says, read once a version."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError, Invalid
from hub.core.ids import Kind, format_id
from hub.integrations.auth.mode import Credentials
from hub.integrations.auth.registry import MODES
from hub.integrations.grants.holder import Holder
from hub.integrations.pipeline.mapping import compile_rules
from hub.integrations.pipeline.masking import Masks, compile_masks
from hub.integrations.pipeline.redaction import Redactor
from hub.integrations.pipeline.retry import RetryPolicy
from hub.integrations.registry.kinds import CALLABLE, HELD_BY_STATUS
from hub.integrations.registry.policies import Access, Caching, DataPolicy, Logging, Quota, RateLimit
from hub.integrations.transports.interface import Connection
from hub.integrations.transports.missing import MissingTransport
from hub.integrations.transports.registry import transport_of
from hub.json_schema import compile_schema
from hub.net.client_certificate import ClientCertificate
from hub.net.identity import TlsIdentity
from hub.transforms import compile_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from hub.core.secret import Secret
    from hub.integrations.auth.mode import Mode
    from hub.integrations.pipeline.mapping import Rule
    from hub.integrations.transports.interface import Transport
    from hub.json_schema import Validator
    from hub.transforms import Pipeline

log = logging.getLogger(__name__)

#: The secret of the block `tls`, among those of `auth`.
TLS_KEY = "tls.key"
#: `broken`: the package of its transport is not installed in this process, or cannot be used.
TRANSPORT_MISSING = "transport_missing"


class _Steps:
    """Steps as they are stored, read when they are first needed."""

    def __init__(self, specs: Sequence[Any]) -> None:
        self._specs = specs

    @cached_property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """One, or none when there are no steps."""
        made = compile_steps(self._specs)
        return (made,) if made.steps else ()


@dataclass(frozen=True)
class Operation:
    """What is common to all operations.

    Steps and schema are compiled by the first call that needs them, in its own thread: a definition of 500 large
    operations must not hold up who claims work for everybody.

    Attributes:
        timeout: seconds; None as the integration says.
        cost: what a call takes from the rate limits.
        cache_seconds: how long an answer is kept.
        deprecated: it works, and says so.
        before, after: steps of the integration, then of the operation.
        input_schema: as it is stored.
    """

    timeout: float | None
    cost: int
    cache_seconds: float
    deprecated: bool
    before: tuple[_Steps, ...]
    after: tuple[_Steps, ...]
    input_schema: Any = None

    @cached_property
    def request_steps(self) -> tuple[Pipeline, ...]:
        """Over the input."""
        return tuple(one for steps in self.before for one in steps.pipelines)

    @cached_property
    def response_steps(self) -> tuple[Pipeline, ...]:
        """Over the answer's data."""
        return tuple(one for steps in self.after for one in steps.pipelines)

    @cached_property
    def schema(self) -> Validator | None:
        """Of the input; None takes any."""
        return None if self.input_schema is None else compile_schema(self.input_schema)


@dataclass(frozen=True, slots=True)
class Target:
    """One integration.

    Attributes:
        hold: why nothing may be sent to it now; None when it is fine.
        broken: why no call can be made with what is stored; None when one can.
        free: what holds for operations that the definition does not name.
        credentials: all but obtained tokens.
        holder: whose token is obtained; None for modes that need none.
        redactor: masks its secrets in what comes back.
        rules: what its answers mean.
        masks: what is not kept.
        health_check: the stored definition.
        changed_at: when this version was made.
        granted_at: when a person last connected or disconnected it; what was answered before belongs to another
            account, perhaps.
    """

    id: uuid.UUID
    tenant_id: uuid.UUID
    name: str
    version: int
    hold: str | None
    broken: str | None
    connection: Connection
    transport: Transport
    mode: Mode
    credentials: Credentials
    holder: Holder | None
    redactor: Redactor
    timeout: float
    max_bytes: int
    retry: RetryPolicy
    operations: Mapping[str, Operation]
    free: Operation
    rules: tuple[Rule, ...]
    rate_limit: RateLimit
    quota: Quota
    access: Access
    data_policy: DataPolicy
    masks: Masks
    logging: Logging
    health_check: Mapping[str, Any] | None
    deprecated: bool
    changed_at: datetime
    granted_at: datetime | None

    def allows(self, operation: str) -> bool:
        """Is the operation one of those that may be called?"""
        return any(
            operation.startswith(one[:-1]) if one.endswith("*") else operation == one
            for one in self.access.allowed_operations
        )

    def is_deprecated(self, operation: str) -> bool:
        """Does the definition advise against the operation?"""
        return self.operations.get(operation, self.free).deprecated

    @property
    def has_quota(self) -> bool:
        """Is anything counted before its calls?"""
        quota = self.quota
        return not (
            quota.calls_per_day is None
            and quota.calls_per_month is None
            and quota.bytes_per_day is None
            and quota.bytes_per_month is None
        )


def secret_ids(row: Row[Any]) -> dict[str, uuid.UUID]:
    """The vault ids of an integration's secrets, by name."""
    return {name: uuid.UUID(text) for name, text in row.secret_ids.items()}


def load_target(row: Row[Any], opened: Mapping[uuid.UUID, Secret]) -> Target | None:
    """Make an integration ready.

    Args:
        row: of the table `integration`.
        opened: its secrets by vault id; one that is missing could not be read.

    Returns:
        None when what is stored cannot be understood: a row that somebody spoilt by hand. The log says what.
    """
    try:
        return _load(row, opened)
    except Exception as error:  # noqa: BLE001 - whoever claims work for all must not end by one row
        detail = error.detail if isinstance(error, HubError) else type(error).__name__
        log.error("Integration %s cannot be called: %s", format_id(Kind.INTEGRATION, row.id), detail)  # noqa: TRY400 - a traceback would repeat with every look
        return None


def _load(row: Row[Any], opened: Mapping[uuid.UUID, Secret]) -> Target:
    transport = _transport(row)
    mode = MODES[row.auth["mode"]]
    ids = secret_ids(row)
    secrets = {name: opened[secret_id] for name, secret_id in ids.items() if secret_id in opened}
    readable = secrets.keys() == ids.keys()
    key = secrets.pop(TLS_KEY, None)
    http = mode.sign(row.auth, secrets) if readable and mode.sign is not None and not mode.obtains else None
    traces = mode.traces(row.auth, secrets) if readable else ()
    settings = transport.settings_form.model_validate(row.settings)
    forms = {name: transport.operation_form.model_validate(stored) for name, stored in row.operations.items()}
    caching = Caching.model_validate(row.caching)
    before, after = _Steps(row.request_transform), _Steps(row.response_transform)
    data_policy = DataPolicy.model_validate(row.data_policy)

    def operation(form: Any) -> Operation:
        return Operation(
            timeout=form.timeout_seconds,
            cost=form.cost,
            cache_seconds=caching.ttl_seconds if form.cache_seconds is None else form.cache_seconds,
            deprecated=form.deprecated,
            before=(before, _Steps(form.request_transform)),
            after=(after, _Steps(form.response_transform)),
            input_schema=form.input_schema,
        )

    return Target(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        hold=None if row.status in CALLABLE else HELD_BY_STATUS + row.status,
        broken=_fault_of(transport, readable=readable),
        connection=Connection(
            id=row.id,
            tenant_id=row.tenant_id,
            base_url=row.base_url,
            headers=row.headers,
            settings=settings,
            operations=forms,
            follow_redirects=row.follow_redirects,
            tls=_identity(row.tls, key),
            pool_key=(row.id, row.version),
        ),
        transport=transport,
        mode=mode,
        credentials=Credentials(mode.name, row.auth, secrets, http),
        holder=Holder.of(row, opened) if mode.obtains else None,
        redactor=Redactor(traces),
        timeout=row.timeout_seconds,
        max_bytes=row.max_response_bytes,
        retry=RetryPolicy.of(row.retry_policy),
        operations={name: operation(form) for name, form in forms.items()},
        free=Operation(None, 1, caching.ttl_seconds, deprecated=False, before=(before,), after=(after,)),
        rules=compile_rules(row.error_mapping),
        rate_limit=RateLimit.model_validate(row.rate_limit),
        quota=Quota.model_validate(row.quota),
        access=Access.model_validate(row.access),
        data_policy=data_policy,
        masks=compile_masks(data_policy.redact),
        logging=Logging.model_validate(row.logging),
        health_check=row.health_check,
        deprecated=row.status == "deprecated",
        changed_at=row.updated_at,
        granted_at=row.granted_at,
    )


def _transport(row: Row[Any]) -> Transport:
    try:
        return transport_of(row.type, row.protocol, row.settings)
    except Invalid as error:
        log.error("Integration %s waits here: %s", format_id(Kind.INTEGRATION, row.id), error.detail)  # noqa: TRY400 - a traceback would say nothing more
        return MissingTransport(error)


def _fault_of(transport: Transport, *, readable: bool) -> str | None:
    if isinstance(transport, MissingTransport):
        return TRANSPORT_MISSING
    return None if readable else "secret_unreadable"


def _identity(tls: Mapping[str, Any] | None, key: Secret | None) -> TlsIdentity | None:
    if tls is None:
        return None
    certificate, ca = tls.get("certificate"), tls.get("ca")
    own = None if certificate is None or key is None else ClientCertificate(certificate.encode(), key)
    return TlsIdentity(own, None if ca is None else ca.encode())
