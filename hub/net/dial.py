"""Connections to the outside, for every client in Python: the one place that opens them.

Promises: a host is resolved once, every answer is judged, the connection goes to a judged address, and the peer is
judged again once connected; name lookup, connection, TLS handshake and every later read and write end at the
call's deadline, or when it is cancelled. Leaves to others: the protocol that is spoken there, and what a fault means
(`faults`).

What a library needs decides how to use this: one that takes a connected socket gets `dial` (and `secure`, or the
context for starting TLS by itself); one that takes no socket but an address gets `resolve_one`.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from hub.net.cancellation import Cancelled
from hub.net.policy import EgressRefused
from hub.net.sockets import PlainSocket, TlsSocket
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection

    from hub.net.cancellation import Cancellation
    from hub.net.dns import Address
    from hub.net.policy import AddressPolicy
    from hub.net.sockets import Deadline


def dial(
    policy: AddressPolicy,
    host: str,
    port: int,
    *,
    deadline: Deadline,
    usual_ports: Collection[int] = (),
    cancellation: Cancellation | None = None,
    trace: Trace | None = None,
) -> PlainSocket:
    """Resolve, judge, connect, judge the peer.

    Args:
        policy: judges the addresses.
        host: DNS name or IP address, without brackets.
        port: TCP port.
        deadline: for this and for everything that is done with the socket.
        usual_ports: the standard port of the protocol, allowed without being in the policy's list.
        cancellation: shuts the socket down, until the socket is closed or released.
        trace: where phases, times and the peer are noted, for the outcome.

    Raises:
        EgressRefused: by the policy.
        OSError: resolution, connection, deadline (`TimeoutError`).
        Cancelled: by `cancellation`.
    """
    trace = trace or Trace()
    begun = time.perf_counter()
    trace.phase = Phase.DNS
    addresses = policy.resolve(
        host, port, timeout=deadline.remaining(), usual_ports=usual_ports, cancellation=cancellation
    )
    resolved = time.perf_counter()
    trace.timings.dns_ms = (resolved - begun) * 1000
    trace.phase = Phase.CONNECT
    sock = _connect(addresses, deadline, cancellation)
    try:
        trace.peer = str(sock.getpeername()[0])
        if not policy.allows(trace.peer, port, usual_ports=usual_ports):
            raise EgressRefused(
                f"The connection to {host} ended at {trace.peer}, which is not a public address."
            )
    except BaseException:
        sock.close()
        raise
    trace.timings.connect_ms = (time.perf_counter() - resolved) * 1000
    trace.phase = Phase.SEND
    return sock


def secure(
    sock: PlainSocket, host: str, *, context: ssl.SSLContext, deadline: Deadline, trace: Trace | None = None
) -> TlsSocket:
    """Do the TLS handshake as a client; certificate and name are checked as the context says.

    Args:
        sock: from `dial`; the new socket takes its place, also under its cancellation. Closed after a fault.
        host: whose certificate it has to be.
        context: from `hub.net.identity.context`.
        deadline: for this and for everything that is done with the socket.
        trace: where phase and time are noted.

    Raises:
        OSError: no valid handshake (`ssl.SSLError`), or not in time (`TimeoutError`).
        Cancelled: by the socket's cancellation.
    """
    trace = trace or Trace()
    trace.phase = Phase.TLS
    begun = time.perf_counter()
    try:
        sock.bound(deadline)
        secured = context.wrap_socket(sock, server_hostname=host.rstrip("."))
    except BaseException:
        sock.close()
        raise
    assert isinstance(secured, TlsSocket)
    trace.timings.tls_ms = (time.perf_counter() - begun) * 1000
    trace.phase = Phase.SEND
    return secured


def resolve_one(
    policy: AddressPolicy,
    host: str,
    port: int,
    *,
    deadline: Deadline,
    usual_ports: Collection[int] = (),
    cancellation: Cancellation | None = None,
) -> list[str]:
    """One look-up for a library that connects by itself: the judged addresses, in the order in which to try them.

    Give the library these and never the name, which it would resolve again (libpq: `hostaddr`; gRPC: `ipv4:` and
    `ipv6:` targets), and judge the peer afterwards with `policy.allows`.

    Raises:
        EgressRefused: the port or any one of the answers is refused.
        OSError: no answer, or not in time.
        Cancelled: by `cancellation`.
    """
    answers = policy.resolve(
        host, port, timeout=deadline.remaining(), usual_ports=usual_ports, cancellation=cancellation
    )
    return [answer.ip for answer in answers]


def _connect(addresses: list[Address], deadline: Deadline, cancellation: Cancellation | None) -> PlainSocket:
    """Try the addresses in order; each one gets an equal part of the time that is left."""
    fault: OSError = OSError("the name has no address")
    for index, address in enumerate(addresses):
        sock = PlainSocket(address.family, socket.SOCK_STREAM)
        try:
            sock.under(deadline, cancellation)
            sock.arm(1 / (len(addresses) - index))
            sock.connect(address.sockaddr)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            if cancellation is not None and cancellation.cancelled:
                raise Cancelled from None
            fault = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise fault
