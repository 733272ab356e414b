"""Who called: the peer of the connection or, behind proxies that are trusted, whom they say they serve. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_networks(cidrs: Sequence[str], *, field: str) -> tuple[Network, ...]:
    """Read CIDRs such as `192.0.2.0/24` or `2001:db8::1`.

    Raises:
        Invalid: names each that is none.
    """
    found: list[Network] = []
    faults = []
    for index, cidr in enumerate(cidrs):
        try:
            found.append(ipaddress.ip_network(cidr.strip()))
        except ValueError:
            faults.append(FieldError(f"{field}.{index}", "is not a CIDR such as 192.0.2.0/24"))
    if faults:
        raise Invalid.of(faults)
    return tuple(found)


def caller_of(peer: str | None, forwarded: str | None, trusted: Sequence[Network]) -> Address | None:
    """Whose request it is.

    `X-Forwarded-For` is read from its end, where our own proxies write, up to the first address that is not one of
    them: what stands before it, the caller may have made up.

    Args:
        peer: address of the connection.
        forwarded: every `X-Forwarded-For` header, joined by commas.
        trusted: the proxies.

    Returns:
        None when the address cannot be told.
    """
    address = _read(peer or "")
    if address is None or not inside(address, trusted):
        return address
    for hop in reversed((forwarded or "").split(",")):
        if not hop.strip():
            continue
        named = _read(hop)
        if named is None or not inside(named, trusted):
            return named
        address = named
    return address


def inside(address: Address, networks: Sequence[Network]) -> bool:
    """Is an address in one of these networks?"""
    return any(address.version == network.version and address in network for network in networks)


def _read(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, IPv6 in brackets."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is how a socket of both families shows an IPv4 peer.
    return getattr(address, "ipv4_mapped", None) or address
