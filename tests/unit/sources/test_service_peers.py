"""Who called, behind proxies and without."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from hub.core.errors import Invalid
from hub.sources.peers import caller_of, inside, read_networks

PROXIES = read_networks(["10.0.0.0/8", "fd00::/8"], field="x")


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        # Somebody else's header is not believed.
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.1.1.1", "198.51.100.7", "198.51.100.7"),
        # What stands before the first strange address was made up by the caller.
        ("10.1.1.1", "1.1.1.1, 198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("10.1.1.1", None, "10.1.1.1"),
        ("10.1.1.1", " , ", "10.1.1.1"),
        ("10.1.1.1", "1.1.1.1, unknown", None),
        ("10.1.1.1", "198.51.100.7:4711", "198.51.100.7"),
        ("fd00::1", '"[2001:db8::1]:4711"', "2001:db8::1"),
        ("::ffff:10.1.1.1", "::ffff:198.51.100.7", "198.51.100.7"),
        (None, "198.51.100.7", None),
        ("testclient", "198.51.100.7", None),
    ],
)
def test_the_caller_is_the_last_address_that_is_not_a_proxy_of_ours(
    peer: str | None, forwarded: str | None, caller: str | None
) -> None:
    found = caller_of(peer, forwarded, PROXIES)
    assert (None if found is None else str(found)) == caller


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert str(caller_of("127.0.0.1", "198.51.100.7", ())) == "127.0.0.1"


def test_an_address_is_in_networks_of_its_own_family_only() -> None:
    networks = read_networks(["192.0.2.0/24", "2001:db8::1"], field="x")
    assert [inside(ip_address(one), networks) for one in ("192.0.2.9", "192.0.3.1", "2001:db8::1", "::1")] == [
        True, False, True, False,
    ]  # fmt: skip


def test_every_wrong_network_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        read_networks(["10.0.0.0/8", "10.0.0.1/8", "example.com"], field="ip_allow_list")
    assert [fault.path for fault in caught.value.fields] == ["ip_allow_list.1", "ip_allow_list.2"]
