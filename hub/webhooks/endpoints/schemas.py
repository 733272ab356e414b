"""Input of the endpoint routes; what they show is in `views`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hub.web.choices import told_by
from hub.webhooks.matching import is_pattern
from hub.webhooks.retry import MAX_DELAY, MAX_RETRIES

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
_VISIBLE = r"^[\x21-\x7e]+$"
_HEADER_VALUE = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"
MAX_OVERLAP = 7 * 86_400
MAX_IMPORT = 1_000


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


# -- how the receiver wants to know the hub ---------------------------------------------------------------------------


class NoAuth(Input):
    """The signature is enough."""

    secret_field: ClassVar[str | None] = None
    mode: Literal["none"]


class BasicAuth(Input):
    """User name and password (RFC 7617)."""

    secret_field: ClassVar[str | None] = "password"  # noqa: S105 - a name
    mode: Literal["basic"]
    username: str = Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f:]+$")
    password: str = Field(max_length=1024, min_length=1, pattern=_NO_CONTROLS)


class BearerAuth(Input):
    """A bearer token (RFC 6750)."""

    secret_field: ClassVar[str | None] = "token"  # noqa: S105 - a name
    mode: Literal["bearer"]
    token: str = Field(max_length=4096, pattern=_VISIBLE)


class HeaderAuth(Input):
    """A header whose value is secret, such as `X-Api-Key`."""

    secret_field: ClassVar[str | None] = "value"  # noqa: S105 - a name
    mode: Literal["header"]
    name: str = Field(min_length=1, max_length=100)
    value: str = Field(max_length=4096, pattern=_HEADER_VALUE)


class ClientCredentials(Input):
    """OAuth 2.0 client credentials (RFC 6749, 4.4); the token is fetched, kept and renewed by the hub."""

    secret_field: ClassVar[str | None] = "client_secret"  # noqa: S105 - a name
    mode: Literal["oauth2_client_credentials"]
    token_url: str = Field(min_length=1, max_length=2048)
    client_id: str = Field(min_length=1, max_length=512, pattern=_NO_CONTROLS)
    client_secret: str = Field(min_length=1, max_length=2048, pattern=_NO_CONTROLS)
    scopes: list[
        Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
    ] = Field(default=[], max_length=50)
    audience: str | None = Field(default=None, min_length=1, max_length=1024, pattern=_NO_CONTROLS)
    client_auth: Literal["basic", "post"] = Field(
        default="basic", description="How the client tells who it is: HTTP Basic, or form fields."
    )


Auth = Annotated[
    NoAuth | BasicAuth | BearerAuth | HeaderAuth | ClientCredentials,
    Field(discriminator="mode"),
    told_by("mode"),
]


class CertificateInput(Input):
    """A TLS client certificate, for receivers that ask for one (mutual TLS)."""

    certificate: str = Field(description="PEM: the hub's certificate first, then those that issued it.")
    key: str = Field(description="PEM, without a passphrase; never shown again.")


# -- when it is sent again --------------------------------------------------------------------------------------------

Delay = Annotated[float, Field(ge=0, le=MAX_DELAY)]


class Schedule(Input):
    """The seconds from each failed attempt to the next; an empty list: no retry."""

    strategy: Literal["schedule"]
    delays: list[Delay] = Field(max_length=MAX_RETRIES)


class Backoff(Input):
    """A delay that is doubled each time, grows by itself each time, or stays."""

    strategy: Literal["exponential", "linear", "fixed"]
    initial_seconds: float = Field(default=5.0, ge=0, le=MAX_DELAY)
    max_retries: int = Field(ge=0, le=MAX_RETRIES)
    max_seconds: float | None = Field(default=None, gt=0, le=MAX_DELAY, description="The longest delay.")


RetryPolicy = Annotated[Schedule | Backoff, Field(discriminator="strategy"), told_by("strategy")]


class Batch(Input):
    """Several events in one request, as a JSON array."""

    size: int = Field(default=1, ge=1, le=1000, description="Events at most; 1: no batches.")
    wait_seconds: float = Field(default=1.0, ge=0, le=60, description="How long the first waits for company.")


# -- endpoints --------------------------------------------------------------------------------------------------------

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=_NO_CONTROLS)]
Url = Annotated[str, Field(min_length=1, max_length=2048)]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_CONTROLS)]
Metadata = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=50),
]
SigningSecret = Annotated[
    str, Field(max_length=128, description="`whsec_…`, 24 to 64 bytes in base64. Unset: the hub makes one.")
]
Rate = Annotated[float, Field(gt=0, le=100_000)]


class _Settings(Input):
    """What can be chosen at creation and changed later."""

    description: str = Field(default="", max_length=1024)
    kind: Literal["events", "operations"] = Field(
        default="events", description="`operations`: what the hub says about endpoints and deliveries."
    )
    event_types: list[str] = Field(
        default=["*"],
        min_length=1,
        max_length=100,
        description="Event types, prefixes such as `invoice.*`, or `*`.",
    )
    labels: list[Label] = Field(
        default=[], max_length=20, description="Not empty: only events that carry one of them."
    )
    filter: dict[str, Any] | None = Field(
        default=None, description='Only events that match, such as `{"data.amount": {"$gt": 100}}`.'
    )
    transformations: list[Any] = Field(
        default=[], description='Steps that make the body, such as `[{"pick": ["type", "data.id"]}]`.'
    )
    headers: dict[str, str] = Field(
        default={}, max_length=30, description="Sent with every delivery; not for secrets."
    )
    asymmetric: bool = Field(default=False, description="Sign with an ed25519 key (`v1a`) as well.")
    signature_profiles: list[Any] = Field(
        default=[], description='Further signatures in the form of others, such as `[{"type": "stripe"}]`.'
    )
    auth: Auth = NoAuth(mode="none")
    client_certificate: CertificateInput | None = None
    timeout_seconds: float | None = Field(default=None, ge=1, le=60)
    retry_policy: RetryPolicy | None = Field(
        default=None,
        description="Null: that of the event type, or else of the tenant, or else the deployment's schedule.",
    )
    max_in_flight: int | None = Field(default=None, ge=1, le=10_000, description="Calls at once.")
    rate_limit: Rate | None = Field(default=None, description="Calls per second.")
    drain_rate: Rate | None = Field(
        default=None, description="Deliveries per second while it catches up after a hold."
    )
    ordering: Literal["best_effort", "strict"] = Field(
        default="best_effort", description="`strict`: events of one ordering key follow each other."
    )
    batch: Batch = Batch()
    ip_allow_list: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[],
        max_length=200,
        description="A note for the receiver's firewall: addresses and CIDRs. The hub does not act on it.",
    )
    metadata: Metadata = {}
    challenge: bool = Field(
        default=False, description="Nothing is sent to its URL before `verify` found that it answers for it."
    )

    @field_validator("event_types")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        bad = [text for text in value if not is_pattern(text)]
        if bad:
            raise ValueError(
                f"{', '.join(ascii(one[:128])[1:-1] for one in bad[:5])}: expected an event type, a prefix such as"
                " `invoice.*`, or `*`"
            )
        return value


class EndpointCreate(_Settings):
    """A new endpoint."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "billing", "url": "https://example.com/webhooks", "event_types": ["invoice.*"]}
            ]
        },
    )

    name: Name
    url: Url = Field(description="Where deliveries are posted; http or https.")
    secret: SigningSecret | None = None


class EndpointUpdate(_Settings):
    """Changes of an endpoint; what is left out stays. `auth` and `client_certificate` are replaced as a whole."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "paused"}]})

    name: Name = "-"
    url: Url = "-"
    status: Literal["active", "paused", "disabled"] = Field(
        default="active", description="`active` also re-enables: what was held meanwhile is sent."
    )


class Backlog(Input):
    """What becomes of the deliveries that wait."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"backlog": "discard"}]})

    backlog: Literal["send", "discard"] = Field(
        default="send", description="`discard`: what waits at this moment is cancelled."
    )


Overlap = Annotated[
    int, Field(ge=0, le=MAX_OVERLAP, description="Seconds for which the one before still signs as well.")
]


class SecretRotation(Input):
    """A new signing secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 86400}]})

    secret: SigningSecret | None = None
    overlap_seconds: Overlap = 86_400


class KeyRotation(Input):
    """A new ed25519 key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 86400}]})

    overlap_seconds: Overlap = 86_400


class Trial(Input):
    """A test event."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"type": "invoice.paid", "data": {"test": True}}]}
    )

    type: str = Field(default="endpoint.test", max_length=128)
    data: Any = {"test": True}


class Import(Input):
    """Many endpoints."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"endpoints": [{"name": "billing", "url": "https://example.com/webhooks"}]}]
        },
    )

    endpoints: list[Any] = Field(
        min_length=1, max_length=MAX_IMPORT, description="Each as for creating one; `secret` may be given."
    )
    partial: bool = Field(default=False, description="Make those that can be made; otherwise all or none.")
    dry_run: bool = Field(default=False, description="Only judge them.")
