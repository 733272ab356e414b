"""Every setting of the hub, read once from `HUB_*` environment variables and checked at boot.

A secret may be given as a file instead: `HUB_MASTER_KEYS_FILE=/run/secrets/keys` (the Docker and Kubernetes habit).
Nothing else in the code base reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from hub.core.errors import ConfigError, FieldError

_PREFIX = "HUB_"


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
PortList = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split)]
Delay = Annotated[float, Field(ge=0, le=7 * 86_400)]


class Settings(BaseSettings):
    """The settings, each with its unit. Frozen: a process has one set for its whole life."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    data_dir: Path = Field(
        default=Path(".hub"), description="Where the embedded servers and the key file live."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe lines that are logged."
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host/db. Unset: `hub up` starts its own Postgres.",
    )
    redis_url: SecretStr | None = Field(
        default=None, description="redis:// or rediss:// URL. Unset: `hub up` starts its own Valkey."
    )
    broker_url: SecretStr | None = Field(
        default=None,
        description="Celery broker (redis://, rediss://, amqp://). Unset: the Redis of HUB_REDIS_URL.",
    )
    db_pool_size: int = Field(default=8, ge=1, le=200, description="Connections that one process keeps.")

    master_keys: SecretStr | None = Field(
        default=None,
        description="Comma-separated base64 keys of 32 bytes; the first one encrypts, all decrypt.",
    )

    api_host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(default=8400, ge=0, le=65535, description="Port that the API listens on.")
    api_max_body_bytes: int = Field(
        default=1_048_576, ge=1024, le=64 * 1_048_576, description="Longest request body that is read."
    )
    api_max_json_depth: int = Field(
        default=64, ge=4, le=128, description="Deepest nesting of JSON that is read."
    )
    commit_window_ms: float = Field(
        default=2.0, ge=0, le=100, description="How long a publish waits for company."
    )
    public_url: str | None = Field(
        default=None,
        description="How the outside reaches the API, e.g. https://hub.example.com: the address that providers"
        " call and some of them sign. Unset: taken from each request's Host.",
    )
    trusted_proxies: CommaList = Field(
        default=(),
        description="CIDRs of proxies in front of the API, whose X-Forwarded-For is believed.",
    )

    flower_host: str = Field(default="127.0.0.1", description="Address that Flower listens on.")
    flower_port: int = Field(default=5555, ge=0, le=65535, description="Port that Flower listens on.")
    flower_user: str = Field(default="hub", description="Name to log in to Flower with.")
    flower_password: SecretStr | None = Field(
        default=None, description="Unset: made on first start, in the data dir."
    )

    egress_allow: CommaList = Field(
        default=(), description="CIDRs that calls may reach although they are private."
    )
    egress_ports: PortList = Field(
        default=(80, 443, 8080, 8443), description="Ports that calls may reach; 0 is any."
    )

    lease_seconds: float = Field(
        default=90.0, ge=1, le=3600, description="How long a claimed row stays claimed."
    )
    sweep_interval_seconds: float = Field(
        default=1.0, ge=0.1, le=60, description="How often due rows without a doorbell are looked for."
    )
    pump_slice_seconds: float = Field(
        default=600.0, ge=1, le=3600, description="Longest life of one pump task."
    )
    pump_linger_ms: float = Field(
        default=200.0, ge=0, le=10_000, description="How long an idle pump waits for more."
    )
    deliver_in_flight: int = Field(
        default=1000, ge=1, le=20_000, description="Webhook calls in flight per process."
    )
    execute_in_flight: int = Field(
        default=256, ge=1, le=2_000, description="Integration calls in flight per process."
    )
    heartbeat_file: Path | None = Field(
        default=None, description="Touched by a worker while it polls the broker."
    )
    worker_grace_seconds: float = Field(
        default=4.0, ge=0, le=600, description="Time for calls in flight at shutdown."
    )
    leader_lease_seconds: float = Field(
        default=30.0,
        ge=1,
        le=300,
        description="How long after the leading beat's last sign of life another one takes over.",
    )

    webhook_timeout_seconds: float = Field(
        default=15.0,
        ge=0.1,
        le=60,
        description="Longest time for one webhook call, where the endpoint has none of its own.",
    )
    webhook_retry_schedule: Annotated[tuple[Delay, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        description="Seconds from one failed attempt to the next; its length is the number of retries.",
    )
    webhook_disable_days: float = Field(
        default=5.0, gt=0, le=365, description="Days without one success after which an endpoint is disabled."
    )
    webhook_disable_messages: int = Field(
        default=10, ge=1, description="Messages that must have failed before an endpoint is disabled."
    )
    retention_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How long events, deliveries, executions and their history are kept.",
    )

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            named = False
        if not named or any(mark in value for mark in "@?# "):
            raise ValueError(
                "must be http:// or https:// and a host, with a path if need be, without credentials or query"
            )
        return value.rstrip("/")

    @field_validator("egress_allow", "trusted_proxies")
    @classmethod
    def _cidrs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for cidr in value:
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                raise ValueError(f"{cidr!r} is not a CIDR such as 10.1.0.0/16 ({error})") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_url(value, ("postgresql", "postgres", "postgresql+psycopg"))

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_url(value, ("redis", "rediss", "unix"))

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_url(value, ("redis", "rediss", "unix", "redis+socket", "amqp", "amqps", "pyamqp"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's interface
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over; pydantic would read the environment a second time by itself."""
        return (init_settings,)

    @property
    def celery_broker_url(self) -> str | None:
        """The broker's URL in kombu's spelling: HUB_BROKER_URL, or the Redis of HUB_REDIS_URL."""
        chosen = self.broker_url or self.redis_url
        if chosen is None:
            return None
        url = urlsplit(chosen.get_secret_value())
        if url.scheme != "unix":
            return url.geturl()
        options = dict(parse_qsl(url.query))
        login = url.netloc
        if "password" in options:
            login = (
                f"{quote(options.pop('username', ''), safe='')}:{quote(options.pop('password'), safe='')}@"
            )
        # kombu's name for the number of the database; it ignores redis-py's `db` without a word.
        if "db" in options:
            options["virtual_host"] = options.pop("db")
        return f"redis+socket://{login}{url.path}" + (f"?{urlencode(options)}" if options else "")


def _check_url(value: SecretStr | None, schemes: tuple[str, ...]) -> SecretStr | None:
    if value is None:
        return None
    text = value.get_secret_value()
    starts = tuple(f"{scheme}://" for scheme in schemes)
    try:
        urlsplit(text)
    except ValueError:  # its text quotes the URL, password included
        raise ValueError("is not a URL") from None
    if not text.startswith(starts):
        raise ValueError(f"must be a URL that starts with one of {', '.join(starts)}")
    return value


def _with_files(environ: dict[str, str]) -> dict[str, str]:
    """Replace `HUB_X_FILE=/path` by `HUB_X=<content>`."""
    found = {}
    for name, path in environ.items():
        if not (name.startswith(_PREFIX) and name.endswith("_FILE")) or name == "HUB_HEARTBEAT_FILE":
            continue
        target = name.removesuffix("_FILE")
        if environ.get(target):
            raise ConfigError(f"{target} and {name} are both set; keep one.")
        try:
            content = Path(path).read_text().strip()
        except OSError as error:
            raise ConfigError(f"{name} points to {path}, which cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{name} points to {path}, which is not text.") from None
        if not content:  # taken for unset, it would start another database or make another key
            raise ConfigError(f"{name} points to {path}, which is empty.")
        found[target] = content
    return found


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Args:
        environ: variables to read; the process environment when None.

    Raises:
        ConfigError: names each wrong variable, what is wrong with it, never its value.
    """
    given = os.environ if environ is None else environ
    source = {name: value for name, value in given.items() if not _is_kubernetes_link(name, value)}
    source |= _with_files(source)
    fields = {
        name: source[_PREFIX + name.upper()]
        for name in Settings.model_fields
        if source.get(_PREFIX + name.upper())
    }
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(
        n
        for n in source
        if n.startswith(_PREFIX)
        and n not in known
        and n.removesuffix("_FILE") not in known
        and n not in _NOT_SETTINGS
    )
    if unknown:
        raise ConfigError(
            f"Unknown setting {', '.join(unknown)}: `hub config` lists the names that exist.",
            fields=tuple(FieldError(name, "unknown setting") for name in unknown),
        )
    try:
        # Constructor values, not the environment: a test or the supervisor can hand over its own.
        return Settings.model_validate(fields)
    except ValidationError as error:
        faults = tuple(
            FieldError(_PREFIX + str(e["loc"][0]).upper(), e["msg"].removeprefix("Value error, "))
            for e in error.errors(include_input=False, include_context=False)
        )
        raise ConfigError("; ".join(f"{f.path}: {f.message}" for f in faults) + ".", fields=faults) from None


def _is_kubernetes_link(name: str, value: str) -> bool:
    """Did Kubernetes add it for a service beside us? For one called "hub-api", HUB_API_PORT is `tcp://10.0.0.1:80`."""
    return _KUBERNETES_LINK.search(name) is not None or (name.endswith("_PORT") and "://" in value)


_KUBERNETES_LINK = re.compile(
    r"^HUB_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)$"
)
# Read by the embedded servers and by clients, not by the hub's own processes.
_NOT_SETTINGS = frozenset(
    {"HUB_PG_BIN", "HUB_REDIS_BIN", "HUB_API_KEY", "HUB_API_KEY_FILE", "HUB_URL", "HUB_TENANT"}
)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read on first use."""
    return load_settings()
