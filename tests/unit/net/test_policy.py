from __future__ import annotations

import socket
from typing import Any

import pytest
import requests

from hub.core.errors import Invalid
from hub.core.settings import load_settings
from hub.net.policy import AddressPolicy, EgressRefused

PUBLIC = AddressPolicy()

REFUSED_V4 = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.31.196.1",
    "192.52.193.1", "192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
REFUSED_V6 = [
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1",
    "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1", "2001:2::1", "2001:10::1", "2001:1ff::1", "2001:db8::1",
    "2002:7f00:1::", "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::1111%1",
]  # fmt: skip
PUBLIC_ADDRESSES = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "168.63.129.15", "168.63.129.17", "172.15.255.255", "172.32.0.0", "192.0.1.1", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("ip", REFUSED_V4 + REFUSED_V6)
def test_an_address_outside_the_public_internet_is_refused(ip: str) -> None:
    assert not PUBLIC.allows(ip)
    assert not PUBLIC.allows(ip, 443)


@pytest.mark.parametrize("ip", PUBLIC_ADDRESSES)
def test_a_public_address_is_allowed(ip: str) -> None:
    assert PUBLIC.allows(ip)
    assert PUBLIC.allows(ip, 443)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "/run/socket"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    assert not PUBLIC.allows(text)


def test_a_network_in_the_allow_list_is_allowed_and_its_neighbour_is_not() -> None:
    policy = AddressPolicy(allow=["10.1.0.0/16", "fd00::/64"])
    assert policy.allows("10.1.2.3")
    assert policy.allows("::ffff:10.1.2.3")
    assert policy.allows("fd00::5")
    assert not policy.allows("10.2.0.1")
    assert not policy.allows("fd00:0:0:1::5")


def test_a_denied_own_address_stays_refused_in_an_allowed_network_and_only_at_its_port() -> None:
    policy = AddressPolicy(allow=["127.0.0.0/8"], deny=[("127.0.0.1", 6379)], ports=[0])
    assert not policy.allows("127.0.0.1", 6379)
    assert not policy.allows("::ffff:127.0.0.1", 6379)
    assert policy.allows("127.0.0.1", 8080)


def test_a_port_outside_the_list_is_refused_and_zero_means_any() -> None:
    assert not PUBLIC.allows("1.1.1.1", 22)
    assert AddressPolicy(ports=[0]).allows("1.1.1.1", 22)


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://EXAMPLE.com:443/Path?q=a%20b&c=d#frag", "https://example.com/Path?q=a%20b&c=d"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("HTTP://example.com/", "http://example.com/"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://my_host.example./x", "https://my_host.example./x"),
        ("https://[2606:4700:4700::1111]:8443/x", "https://[2606:4700:4700::1111]:8443/x"),
        ("https://[::ffff:8.8.8.8]/", "https://[::ffff:808:808]/"),
        ("http://134744072/", "http://8.8.8.8/"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
    ],
)
def test_a_usable_url_comes_back_in_its_one_spelling(given: str, checked: str) -> None:
    spelled = PUBLIC.check_url(given).replace("[::ffff:8.8.8.8]", "[::ffff:808:808]")
    assert spelled == checked


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com/", "/path", "ftp://example.com/", "file:///etc/passwd", "gopher://x/",
        "javascript:alert(1)", "http://", "http:///path", "http://:80/", "https://?x", "http:example.com",
        "http://user@example.com/", "http://user:pw@example.com/", "http://@example.com/", "http://a@b@example.com/",
        "http://example.com\\@127.0.0.1/", "http://example.com\\.evil.org/", "http://exa mple.com/",
        " http://example.com/", "http://example.com/\n", "http://example.com/a b", "http://example.com/\r\nX: y",
        "http://example.com\x00/", "http://exam\u00a0ple.com/", "http://example.com\u2028/", "http://example.com:0/",
        "http://example.com:22/", "http://example.com:65536/", "http://example.com:x/", "http://example.com:-1/",
        "http://[::1/", "http://[1.2.3.4]/", "http://[fe80::1%25eth0]/", "http://[v1.x]/", "http://%31%32%37.0.0.1/",
        "http://a..b/", "http://.example.com/", "http://-a.example/", "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "example/", "http://1.2.3.256/", "http://1.2.3.08/", "http://1.2.3.4.5/",
        "http://example.0x/", "http://xn--a\u0300\u0300.\u202e/", "http://exa{mple}.com/", "http://" + "x" * 9000,
    ],
)  # fmt: skip
def test_a_url_that_two_readers_could_understand_in_two_ways_is_invalid(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        PUBLIC.check_url(url, path="endpoint.url")
    assert [field.path for field in caught.value.fields] == ["endpoint.url"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "0x7f000001", "0x7f.1", "0X7F.0.0.1", "2130706433", "017700000001",
        "0177.0.0.1", "127.0.0.1.", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "169.254.169.254", "2852039166",
        "0xa9fea9fe", "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
        "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1",
    ],
)  # fmt: skip
def test_a_private_address_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(Invalid, match="not a public address"):
        PUBLIC.check_url(f"http://{host}/")


def test_the_refusal_of_a_port_names_the_allowed_ones() -> None:
    with pytest.raises(Invalid, match="port 25 is not one of 80, 443, 8080, 8443"):
        PUBLIC.check_url("http://example.com:25/")


def _answers(monkeypatch: pytest.MonkeyPatch, *ips: str) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if not ips:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in ips
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_is_refused_when_any_one_of_its_answers_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch, "93.184.216.34", "2606:2800::1", "10.0.0.1")
    with pytest.raises(EgressRefused, match=r"10\.0\.0\.1"):
        PUBLIC.resolve("example.com", 443)


def test_a_name_with_public_answers_resolves_to_all_of_them_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch, "93.184.216.34", "2606:2800::1")
    assert [a.ip for a in PUBLIC.resolve("example.com", 443, timeout=5)] == ["93.184.216.34", "2606:2800::1"]


def test_a_refused_port_needs_no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch)
    with pytest.raises(EgressRefused, match="Port 25"):
        PUBLIC.resolve("example.com", 25)


def test_the_refusal_is_no_error_that_an_http_library_would_retry_or_wrap() -> None:
    assert not issubclass(EgressRefused, (OSError, requests.RequestException))


def test_saving_a_url_whose_name_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch, "127.0.0.1")
    with pytest.raises(Invalid) as caught:
        PUBLIC.check_resolves("https://inside.example/x", path="url")
    assert caught.value.fields[0].path == "url"


def test_saving_a_url_whose_name_does_not_resolve_yet_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch)
    assert PUBLIC.check_resolves("https://later.example/x") == "https://later.example/x"


def test_the_settings_give_exceptions_ports_and_the_hubs_own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = AddressPolicy.from_settings(
        load_settings(
            {
                "HUB_EGRESS_ALLOW": "10.1.0.0/16",
                "HUB_EGRESS_PORTS": "0",
                "HUB_DATABASE_URL": "postgresql://u:p%40@10.1.0.5,10.1.0.6:5433/hub",
                "HUB_REDIS_URL": "redis://:pw@10.1.0.7/0",
                "HUB_BROKER_URL": "amqp://u:p@10.1.0.8//",
            }
        )
    )
    for own in [("10.1.0.5", 5432), ("10.1.0.6", 5433), ("10.1.0.7", 6379), ("10.1.0.8", 5672)]:
        assert not policy.allows(*own)
    assert policy.allows("10.1.0.5", 8080)
    assert not policy.allows("10.2.0.1", 8080)


def test_a_usual_port_is_allowed_for_its_protocol_alone() -> None:
    assert PUBLIC.allows("1.1.1.1", 5432, usual_ports=(5432,))
    assert not PUBLIC.allows("1.1.1.1", 5433, usual_ports=(5432,))
    assert not PUBLIC.allows("10.0.0.1", 5432, usual_ports=(5432,))
    assert not PUBLIC.allows("1.1.1.1", 5432)
    assert [a.ip for a in PUBLIC.resolve("1.1.1.1", 5432, usual_ports=(5432,))] == ["1.1.1.1"]


@pytest.mark.parametrize("port", [80, 443])
def test_a_deployment_that_leaves_a_web_port_out_means_every_protocol(port: int) -> None:
    policy = AddressPolicy(ports=[8443])
    assert not policy.allows("1.1.1.1", port, usual_ports=(port,))
    with pytest.raises(EgressRefused):
        policy.resolve("1.1.1.1", port, usual_ports=(port,))


def test_the_hubs_own_server_stays_refused_at_a_usual_port_and_under_every_loopback_address() -> None:
    policy = AddressPolicy(
        allow=["127.0.0.0/8", "::1/128", "0.0.0.0/32", "10.0.0.0/8"],
        deny=[("127.0.0.1", 5432), ("10.1.0.5", 5432)],
    )
    for own in ("127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::ffff:127.0.0.9", "10.1.0.5"):
        assert not policy.allows(own, 5432, usual_ports=(5432,))
    assert policy.allows("10.1.0.6", 5432, usual_ports=(5432,))
    with pytest.raises(Invalid, match="not a public address"):
        policy.check_address("postgresql://127.0.0.3/x", schemes={"postgresql": 5432})


SCHEMES = {"postgresql": 5432, "sftp": 22, "wss": 443, "grpcs": 443, "https": 443}


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ("postgresql://DB.Example.com/shop", "postgresql://db.example.com/shop"),
        ("postgresql://db.example.com:5432/shop", "postgresql://db.example.com/shop"),
        ("postgresql://db.example.com:8080/shop/", "postgresql://db.example.com:8080/shop"),
        ("sftp://files.example.com", "sftp://files.example.com"),
        ("sftp://bücher.example/a b".replace(" ", "%20"), "sftp://xn--bcher-kva.example/a%20b"),
        ("grpcs://[2606:4700:4700::1111]", "grpcs://[2606:4700:4700::1111]"),
        ("wss://134744072/x", "wss://8.8.8.8/x"),
        ("https://example.com:443", "https://example.com"),
    ],
)
def test_an_address_of_any_scheme_comes_back_in_its_one_spelling_without_a_slash_at_its_end(
    given: str, checked: str
) -> None:
    assert PUBLIC.check_address(given, schemes=SCHEMES) == checked


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://db.example.com/x", "must start with postgresql:// or sftp://"),
        ("postgresql://u:p@db.example.com/x", "user name or password"),
        ("postgresql://db.example.com/x?host=/run", "no query and no fragment"),
        ("postgresql://db.example.com/x#f", "no query and no fragment"),
        ("postgresql:///x", "names no host"),
        ("postgresql://a.example,b.example/x", "not a DNS name"),
        ("postgresql://db.example.com:22/x", "port 22 is not one of 80, 443, 5432, 8080, 8443"),
        ("sftp://example.com:5432", "port 5432"),
        ("sftp://127.1/x", "not a public address"),
        ("sftp:files.example.com", "names no host"),
    ],
)
def test_an_address_that_is_none_or_leads_inside_is_refused_with_the_reason(url: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        PUBLIC.check_address(url, schemes=SCHEMES)
    assert [field.path for field in caught.value.fields] == ["base_url"]
    assert "u:p" not in caught.value.detail


def test_saving_an_address_whose_name_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch, "10.0.0.1")
    with pytest.raises(Invalid, match=r"leads to 10\.0\.0\.1") as caught:
        PUBLIC.check_address_resolves("sftp://inside.example/x", schemes=SCHEMES, path="address")
    assert caught.value.fields[0].path == "address"


def test_saving_an_address_needs_no_answer_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch)
    checked = PUBLIC.check_address_resolves("sftp://later.example/x", schemes=SCHEMES)
    assert checked == "sftp://later.example/x"
