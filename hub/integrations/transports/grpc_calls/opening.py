"""Opening a channel to judged addresses, and to nothing else.

gRPC resolves names, follows proxies and service configurations, and takes targets such as `unix:` and `xds:`. None of
that is left to it: the name is resolved and judged here, and the channel is pinned to the addresses that it leads to.
gRPC connects when the first call is made; what fails then is told by the call's status.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.integrations.transports.grpc_calls.channels import Opened
from hub.integrations.transports.grpc_calls.forms import PORTS
from hub.integrations.transports.grpc_calls.library import grpc
from hub.net.dial import resolve_one
from hub.net.session import USER_AGENT
from hub.net.trace import Phase

if TYPE_CHECKING:
    from hub.net.cancellation import Cancellation
    from hub.net.identity import TlsIdentity
    from hub.net.session import GuardedSession
    from hub.net.sockets import Deadline
    from hub.net.trace import Trace

IDLE_SECONDS = 60
_CONNECT_SECONDS = 10
_MOST_ADDRESSES = 8
# Bytes that a service may send before they are read: HTTP/2's own default, and what a far one needs for its speed.
_LEAST_AHEAD = 65_535
_MOST_AHEAD = 1_048_576
# NONE and gzip of grpc_compression_algorithm, as a set of bits.
_GZIP_ONLY = 0b101


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is.

    Args:
        host: DNS name or IP address, without brackets.
        port: TCP port.
        secure: with TLS.
        authority: what is asked for there: `host` or `host:port`.
        name: whose certificate it has to be.
    """

    host: str
    port: int
    secure: bool
    authority: str
    name: str

    @classmethod
    def of(cls, base_url: str, authority: str | None) -> Place:
        """The place of an address that was checked when it was saved."""
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        port = parts.port or PORTS[parts.scheme]
        usual = authority or parts.netloc
        name = urlsplit(f"//{authority}").hostname if authority else host
        return cls(host, port, parts.scheme == "grpcs", usual, (name or "").rstrip("."))


def open_channel(
    session: GuardedSession,
    place: Place,
    identity: TlsIdentity | None,
    *,
    max_message_bytes: int,
    deadline: Deadline,
    cancellation: Cancellation,
    trace: Trace,
) -> Opened:
    """Open one; nothing is sent yet.

    Args:
        session: judges addresses, and knows the usual authorities.
        place: where to.
        identity: client certificate and authorities.
        max_message_bytes: gRPC refuses a longer answer before it is in memory.
        deadline: for the resolution.
        cancellation: of the call that needs the channel.
        trace: where the resolution's time is noted.

    Raises:
        EgressRefused: by the policy.
        OSError: resolution, deadline.
        Cancelled: by `cancellation`.
    """
    trace.phase = Phase.DNS
    begun = time.perf_counter()
    found = resolve_one(
        session.policy,
        place.host,
        place.port,
        deadline=deadline,
        usual_ports=PORTS.values(),
        cancellation=cancellation,
    )
    trace.timings.dns_ms = (time.perf_counter() - begun) * 1000
    trace.phase = Phase.CONNECT
    # A target has addresses of one family; the system puts first the one that works.
    ips = tuple(ip for ip in found if (":" in ip) == (":" in found[0]))[:_MOST_ADDRESSES]
    options = _options(place, max_message_bytes)
    if not place.secure:
        return Opened(grpc().insecure_channel(_target(ips, place.port), options), ips)
    credentials = _credentials(session, identity)
    return Opened(grpc().secure_channel(_target(ips, place.port), credentials, options), ips)


def _target(ips: tuple[str, ...], port: int) -> str:
    """See https://github.com/grpc/grpc/blob/master/doc/naming.md."""
    if ":" in ips[0]:
        return "ipv6:" + ",".join(f"[{ip}]:{port}" for ip in ips)
    return "ipv4:" + ",".join(f"{ip}:{port}" for ip in ips)


def _options(place: Place, max_message_bytes: int) -> list[tuple[str, Any]]:
    """See https://github.com/grpc/grpc/blob/master/include/grpc/impl/channel_arg_names.h."""
    options: list[tuple[str, Any]] = [
        ("grpc.default_authority", place.authority),
        ("grpc.primary_user_agent", USER_AGENT),
        ("grpc.max_receive_message_length", max_message_bytes),
        # A service may run ahead of the reader by so much. Left to itself, gRPC lets it by ever more the faster it is,
        # and the whole of an answer has come before its length is judged.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", min(max(max_message_bytes, _LEAST_AHEAD), _MOST_AHEAD)),
        ("grpc.compression_enabled_algorithms_bitset", _GZIP_ONLY),
        ("grpc.per_message_decompression", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        # A connection is shared by the calls of one channel alone.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.client_idle_timeout_ms", IDLE_SECONDS * 1000),
        # How long one connection may take, and how soon the next one is tried.
        ("grpc.min_reconnect_backoff_ms", _CONNECT_SECONDS * 1000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    if place.secure:
        options.append(("grpc.ssl_target_name_override", place.name))
    return options


def _credentials(session: GuardedSession, identity: TlsIdentity | None) -> Any:
    """Trusted certificates, and the client's own; gRPC takes them as text alone."""
    ca = None if identity is None else identity.ca
    if ca is None:
        usual = session.context_of(None).get_ca_certs(binary_form=True)
        ca = "".join(ssl.DER_cert_to_PEM_cert(der) for der in usual).encode()
    certificate = None if identity is None else identity.certificate
    return grpc().ssl_channel_credentials(
        root_certificates=ca,
        private_key=None if certificate is None else certificate.key.reveal().encode(),
        certificate_chain=None if certificate is None else certificate.chain,
    )
