"""What tasks use, made once for each pool process on first use: never before a fork, never shared across one."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from random import Random

from hub.core.clock import SystemClock
from hub.core.errors import ConfigError
from hub.core.settings import Settings, get_settings
from hub.db.engine import forget_engine, get_engine
from hub.flows.announcing import Announcer
from hub.flows.granting import GrantListener
from hub.flows.triggers import FlowTriggers
from hub.integrations.grants.keeper import Grants
from hub.integrations.pipeline.call import Tools
from hub.integrations.pipeline.tools import Limits
from hub.net.multi import MultiSender
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from hub.net.token import TokenSource
from hub.queue.app import get_app
from hub.queue.bell import Bell, connect
from hub.transforms.sandbox import Sandbox
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from hub.webhooks.admission import Admission
from hub.webhooks.catalogue.validation import Catalogue
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.directory import Directory
from hub.webhooks.sending import DeliveryRunner
from hub.webhooks.statistics import Statistics

#: Bodies of calls in flight in one process, bytes.
_BODY_BYTES = 64 * 1_048_576


def owner() -> str:
    """This process in leases and attempts: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


@lru_cache(maxsize=1)
def get_bell() -> Bell:
    """The doorbell.

    Raises:
        ConfigError: HUB_REDIS_URL is not set.
    """
    settings = get_settings()
    if settings.redis_url is None:
        raise ConfigError("HUB_REDIS_URL is not set: point it to a Redis, or start everything with `hub up`.")
    return Bell(connect(settings.redis_url.get_secret_value()), get_app())


@lru_cache(maxsize=1)
def get_vault() -> Vault:
    """The vault, with the key ring of the settings."""
    return Vault(KeyRing.from_settings(get_settings()))


@lru_cache(maxsize=1)
def get_policy() -> AddressPolicy:
    """Where calls may go."""
    return AddressPolicy.from_settings(get_settings())


@lru_cache(maxsize=1)
def get_tools() -> Tools:
    """What calls of integrations use; connections and tokens are reused between pumps."""
    redis_url = get_settings().redis_url
    session = GuardedSession(get_policy())
    return Tools(
        session,
        Sandbox(children=2),
        None if redis_url is None else Limits(redis_url.get_secret_value()),
        Grants(
            get_engine(),
            get_vault(),
            session,
            SystemClock(),
            Random(),  # noqa: S311 - jitter, not a secret
            owner(),
            listener=GrantListener(),
        ),
    )


@lru_cache(maxsize=1)
def get_announcer() -> Announcer:
    """Tells others of ended executions."""
    return Announcer(get_tools().sandbox, lambda task: get_bell().ring(task))


@lru_cache(maxsize=1)
def get_delivery_runner() -> DeliveryRunner:
    """The webhook sender; lives as long as the process, so connections are reused between pumps."""
    return DeliveryRunner(
        MultiSender(get_policy(), max_in_flight=get_settings().deliver_in_flight + 500),
        SystemClock(),
        Sandbox(children=2),
        TokenSource(GuardedSession(get_policy())),
    )


@lru_cache(maxsize=1)
def get_catalogue() -> Catalogue:
    """The tenants' event types."""
    return Catalogue(get_engine())


@lru_cache(maxsize=1)
def get_delivery_source() -> DeliverySource:
    """The webhook ledger's source; keeps the directory of endpoints between pumps."""
    settings: Settings = get_settings()
    return DeliverySource(
        get_engine(),
        Directory(get_vault(), settings, SystemClock()),
        get_catalogue(),
        Admission(settings.deliver_in_flight, max_bytes=_BODY_BYTES),
        Statistics(),
        FlowTriggers(lambda task: get_bell().ring(task)),
        clock=SystemClock(),
        rng=Random(),  # noqa: S311 - jitter, not a secret
        owner=owner(),
        lease=settings.lease_seconds,
    )


def forget() -> None:
    """Drop everything that was inherited from the parent process."""
    forget_engine()
    for made in (
        get_bell,
        get_vault,
        get_policy,
        get_catalogue,
        get_tools,
        get_announcer,
        get_delivery_runner,
        get_delivery_source,
    ):
        made.cache_clear()
