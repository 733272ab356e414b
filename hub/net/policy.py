"""Where calls may go: the address policy that every way out of the hub obeys.

Promises: an address outside the public internet is refused in any spelling, unless the deployment allows its
network by a CIDR in HUB_EGRESS_ALLOW; the hub's own servers are refused even then; a name is refused when
any one of its answers is. Leaves to others: connecting to exactly the judged address and checking the peer
again (`dial`, `multi`).
"""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from hub.core.errors import FieldError, HubError, Invalid
from hub.net import dns
from hub.net import url as urls
from hub.net.dns import Address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from hub.core.settings import Settings
    from hub.net.cancellation import Cancellation

# `ipaddress.is_global` is wrong for many of these (multicast, ::127.0.0.1, 64:ff9b::/96 …), so the lists are
# explicit. Sources: IANA special-purpose address registries (RFC 6890 and its updates); 168.63.129.16 is
# Azure's host.
_REFUSED_V4 = tuple(
    IPv4Network(cidr)
    for cidr in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    ]
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(cidr)
    for cidr in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_OWN_PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "redis": 6379,
    "rediss": 6379,
    "amqp": 5672,
    "amqps": 5671,
}
# HUB_EGRESS_PORTS names these two unless a deployment leaves them out on purpose.
_WEB_PORTS = frozenset(urls.WEB.values())
_OWN_LOOKUP_SECONDS = 5.0
_SAVE_LOOKUP_SECONDS = 5.0


class EgressRefused(HubError):
    """The address policy refuses this address or port.

    On purpose no OSError and no RequestException: HTTP libraries retry or re-wrap those.
    """

    status = 422
    code = "egress_refused"
    title = "Address refused"


class AddressPolicy:
    """Judges addresses, ports and URLs. Immutable, safe for any number of threads.

    Where a method takes `usual_ports`, those are the standard ports of the protocol that will be spoken (5432 for
    PostgreSQL): allowed although they are not in the list, but for 80 and 443, which are the list's own matter.

    Args:
        allow: networks that calls may reach although they are not public.
        deny: (address, port) pairs that no call may reach, whatever else allows them.
        ports: ports that calls may reach; a 0 among them means any.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[tuple[str, int]] = (),
        ports: Iterable[int] = (80, 443, 8080, 8443),
    ) -> None:
        self._allow = tuple(ip_network(cidr) for cidr in allow)
        self._deny = frozenset((_place(_plain(ip_address(ip))), port) for ip, port in deny)
        self._ports = frozenset(ports)
        self._any_port = 0 in self._ports
        self._judged = lru_cache(maxsize=8192)(self._judge)

    @classmethod
    def from_settings(cls, settings: Settings) -> AddressPolicy:
        """The deployment's policy: HUB_EGRESS_ALLOW, HUB_EGRESS_PORTS, its own servers denied.

        Looks the names of its database, Redis and broker up once; one that does not resolve now is skipped
        (it is private or unknown).
        """
        own = [
            pair
            for secret in (settings.database_url, settings.redis_url, settings.broker_url)
            if secret is not None
            for pair in _own_addresses(secret.get_secret_value())
        ]
        return cls(allow=settings.egress_allow, deny=own, ports=settings.egress_ports)

    def allows(
        self,
        ip: str | IPv4Address | IPv6Address,
        port: int | None = None,
        *,
        usual_ports: Collection[int] = (),
    ) -> bool:
        """May a call go to this address, and (when given) to this port of it? Text that is no address: no."""
        if port is not None and not self._allows_port(port, usual_ports):
            return False
        return self._judged(ip if isinstance(ip, str) else str(ip), port)

    def called_url(self, url: str) -> str:
        """As `check_url`, at the moment of a call.

        Raises:
            EgressRefused: with the sentence of `check_url`.
        """
        try:
            return self.check_url(url)
        except Invalid as error:
            raise EgressRefused(error.detail) from None

    def check_url(self, url: str, *, path: str = "url") -> str:
        """The URL in the spelling that may be called: ASCII host, no fragment.

        Needs no DNS: an IP address in the URL is judged, a name is judged when it is resolved.

        Args:
            url: as given by a user.
            path: the input's field, for the error.

        Raises:
            Invalid: with a sentence and the field.
        """
        return self._checked(url, urls.WEB, path).text

    def check_address(self, url: str, *, schemes: Mapping[str, int], path: str = "base_url") -> str:
        """As `check_url`, for the one address of a service whatever it speaks; credentials and options stand elsewhere.

        Args:
            url: as given by a user.
            schemes: those that it may have → standard port, which it then may go to.
            path: the input's field, for the error.

        Returns:
            The address without a slash at its end.

        Raises:
            Invalid: also for a user name, a query or a fragment.
        """
        return self._checked_address(url, schemes, path)[0]

    def check_address_resolves(self, url: str, *, schemes: Mapping[str, int], path: str = "base_url") -> str:
        """`check_address`, and no present DNS answer for its host is refused, as in `check_resolves`.

        Raises:
            Invalid: with a sentence and the field.
        """
        text, target = self._checked_address(url, schemes, path)
        self._check_answers(target, (schemes[target.scheme],), path)
        return text

    def check_resolves(self, url: str, *, path: str = "url") -> str:
        """`check_url`, and no present DNS answer for its host is refused; for the moment when a URL is saved.

        A name that does not resolve now is no error: it may exist later, and is judged again at every
        connection.

        Raises:
            Invalid: with a sentence and the field.
        """
        target = self._checked(url, urls.WEB, path)
        self._check_answers(target, (), path)
        return target.text

    def resolve(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        *,
        usual_ports: Collection[int] = (),
        cancellation: Cancellation | None = None,
    ) -> list[Address]:
        """Look a host up once and judge every answer. Connect to one of these addresses, and to no other.

        Args:
            host: DNS name or IP address.
            port: that the call will use.
            timeout: seconds for the lookup; None waits as long as the system does.
            usual_ports: see the class.
            cancellation: ends the waiting, when there is a timeout.

        Raises:
            EgressRefused: the port or any one of the answers is refused.
            OSError: no answer (`socket.gaierror`), or not in time (`TimeoutError`).
            Cancelled: by `cancellation`.
        """
        if not self._allows_port(port, usual_ports):
            raise EgressRefused(f"Port {port} is not among the allowed ports.")
        try:
            literal = ip_address(host)
        except ValueError:
            answers = dns.lookup(host, port, timeout, cancellation)
        else:
            family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
            answers = [Address(family, (host, port))]
        for answer in answers:
            if not self._judged(answer.ip, port):
                raise EgressRefused(f"{host} leads to {answer.ip}, which is not a public address.")
        return answers

    def _checked_address(self, url: str, schemes: Mapping[str, int], path: str) -> tuple[str, urls.Target]:
        if "?" in url or "#" in url:
            raise _invalid(
                path, "not usable: an address has no query and no fragment; put options into the settings"
            )
        target = self._checked(url, schemes, path)
        return target.text.rstrip("/"), target

    def _checked(self, url: str, schemes: Mapping[str, int], path: str) -> urls.Target:
        try:
            target = urls.parse(url, schemes)
        except urls.UrlError as error:
            raise _invalid(path, f"not usable: {error}") from None
        usual = () if schemes is urls.WEB else (schemes[target.scheme],)
        if not self._allows_port(target.port, usual):
            allowed = ", ".join(str(port) for port in sorted(self._ports.union(usual) - {0}))
            raise _invalid(path, f"not allowed: port {target.port} is not one of {allowed}")
        if target.address is not None and not self._judged(str(target.address), target.port):
            raise _invalid(path, f"not allowed: {target.host} is not a public address")
        return target

    def _check_answers(self, target: urls.Target, usual_ports: Collection[int], path: str) -> None:
        try:
            self.resolve(target.host, target.port, timeout=_SAVE_LOOKUP_SECONDS, usual_ports=usual_ports)
        except EgressRefused as error:
            raise _invalid(path, f"not allowed: {error.detail}") from None
        except OSError:
            pass

    def _allows_port(self, port: int, usual_ports: Collection[int]) -> bool:
        return self._any_port or port in self._ports or (port in usual_ports and port not in _WEB_PORTS)

    def _judge(self, ip: str, port: int | None) -> bool:
        try:
            address = _plain(ip_address(ip))
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        if (_place(address), port) in self._deny:
            return False
        if any(address in network for network in self._allow):
            return True
        if isinstance(address, IPv4Address):
            return not any(address in network for network in _REFUSED_V4)
        return address in _PUBLIC_V6 and not any(address in network for network in _REFUSED_V6)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """`::ffff:a.b.c.d` is the IPv4 address; no other embedded form is decoded: all of those are refused."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _place(address: IPv4Address | IPv6Address) -> str:
    """Every loopback address, and the unspecified one, leads to the same server of this machine."""
    return "here" if address.is_loopback or address.is_unspecified else str(address)


def _invalid(path: str, message: str) -> Invalid:
    return Invalid(f"{path} is {message}.", fields=(FieldError(path, message),))


def _own_addresses(url: str) -> list[tuple[str, int]]:
    """Every (address, port) of a server URL.

    libpq lists several hosts with commas, SQLAlchemy as `?host=one:5433&host=two`, Celery several brokers with
    semicolons.
    """
    found: list[tuple[str, int]] = []
    for one in url.split(";"):
        parts = urlsplit(one.strip())
        default = _OWN_PORTS.get(parts.scheme.partition("+")[0], 0)
        options = parse_qs(parts.query)
        ports = [port for text in options.get("port", ()) for port in text.split(",")]
        places = parts.netloc.rpartition("@")[2].split(",")
        for text in (*options.get("host", ()), *options.get("hostaddr", ())):
            hosts = text.split(",")
            # One port for all of the hosts, or one for each.
            places += [
                f"{host}:{ports[min(index, len(ports) - 1)]}" if ports and ":" not in host else host
                for index, host in enumerate(hosts)
                if not host.startswith("/")
            ]
        for place in places:
            found += _addresses_of(place, default)
    return found


def _addresses_of(place: str, default: int) -> list[tuple[str, int]]:
    try:
        one = urlsplit(f"//{place}")
        if not one.hostname:
            return []
        port = one.port or default
        return [(a.ip, port) for a in dns.lookup(one.hostname, port, _OWN_LOOKUP_SECONDS)]
    except (OSError, ValueError):
        return []
