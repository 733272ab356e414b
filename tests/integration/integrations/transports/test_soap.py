from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from hub.core.errors import Invalid
from hub.integrations.auth.basic import Basic
from hub.integrations.auth.mode import Credentials
from hub.integrations.pipeline.authenticating import Traced
from hub.integrations.transports.soap import SoapTransport, reading
from hub.integrations.transports.soap.forms import SoapOperation, SoapSettings
from hub.net.outcome import ErrorClass
from hub.net.policy import AddressPolicy
from tests.integration.integrations.auth.served import serving
from tests.integration.integrations.transports.calls import Caller, basic
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.integrations.transports.relay import Relay
from tests.integration.integrations.transports.soap_peer import (
    PASSWORD,
    TNS,
    TYPES,
    USER,
    SoapPeer,
    envelope,
    fault,
    wsdl,
)
from tests.integration.integrations.transports.soap_service import (
    NAMESPACE,
    SPYNE_WORKS,
    serving_soap,
)

TRANSPORT = SoapTransport()


class TestConformance(Conformance):
    transport = TRANSPORT
    scheme = "http"
    settings = SoapSettings(wsdl=wsdl(), wsse=True)
    operations: ClassVar = {"get": SoapOperation(operation="Get")}
    small = ("get", {"body": {"size": 5}})
    large = ("get", {"body": {"size": LARGE_BYTES + 1}})
    good = basic(USER, PASSWORD)
    bad = basic(USER, "canary-wrong-password-0123456789")

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        with serving(SoapPeer(guarded=True)) as served:
            yield int(served.url.rpartition(":")[2])


# A service that others wrote.


@pytest.fixture(scope="module", params=["1.1", "1.2"])
def shop_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if not SPYNE_WORKS:
        pytest.skip("spyne 2.14 does not run on Python 3.12 and newer")
    with serving_soap(request.param) as url:
        yield url


@pytest.fixture(params=["address", "text"])
def shop(shop_url: str, request: pytest.FixtureRequest) -> Iterator[Caller]:
    made = Caller(TRANSPORT, shop_url, settings={"wsdl": f"{shop_url}?wsdl"})
    if request.param == "text":
        text = made.session.call("GET", f"{shop_url}?wsdl").body.decode()
        made = Caller(TRANSPORT, shop_url, settings={"wsdl": text})
        assert TRANSPORT.settings_faults(SoapSettings(wsdl=text), shop_url) == []
    yield made
    made.session.close()


def ask(operation: str, headers: dict[str, Any] | None = None, **body: Any) -> tuple[str, dict[str, Any]]:
    return "call", {"operation": operation, "body": body, "headers": headers}


def test_a_number_comes_back(shop: Caller) -> None:
    assert shop.result(*ask("add", a=2, b="40")) == 42


def test_a_list_comes_back(shop: Caller) -> None:
    assert shop.result(*ask("say", what="Zoë <&>", times=2)) == {"string": ["Zoë <&>"] * 2}
    assert shop.result(*ask("say", what="x", times=0)) in ({"string": []}, None)


def test_every_kind_of_value_goes_there_and_back_without_losing_a_digit(shop: Caller) -> None:
    order = {
        "number": 10**30 + 1,
        "placed": "2026-01-31T12:00:00+00:00",
        "paid": False,
        "ratio": 0.1,
        "scan": "aGVsbG8=",
        "lines": {
            "Line": [
                {"sku": "a", "quantity": 1, "price": "0.10000000000000000000000000000000001"},
                {"quantity": 2},
            ]
        },
    }
    assert shop.result(*ask("place", order=order)) == order


def test_a_soap_header_arrives(shop: Caller) -> None:
    assert shop.result(*ask("whoami", {"Login": {"user": "ann"}})) == "ann"
    assert shop.result(*ask("whoami", {f"{{{NAMESPACE}}}Login": {"user": "bob"}})) == "bob"
    assert shop.result(*ask("whoami")) is None


def test_a_fault_is_the_providers_error_with_its_parts(shop: Caller) -> None:
    outcome = shop.call(*ask("fail", why="It broke."))
    assert (outcome.status, outcome.error_class) == (500, ErrorClass.PROVIDER_ERROR)
    assert "Broken: It broke" in outcome.message
    said = json.loads(outcome.body)
    assert said["faultstring"] == "It broke."
    assert "Broken" in said["faultcode"] + "".join(said.get("subcodes", []))
    assert said["detail"] == {"reason": {"code": "7"}}


def test_http_credentials_and_headers_go_along(shop: Caller) -> None:
    shop.credentials = Credentials(
        "basic",
        {"mode": "basic", "username": USER},
        basic(USER, PASSWORD).secrets,
        Basic({"username": USER}, basic(USER, PASSWORD).secrets),
    )
    assert shop.result(*ask("header", name="HTTP_AUTHORIZATION")).startswith("Basic ")
    assert "xml" in shop.result(*ask("header", name="CONTENT_TYPE"))


def test_what_does_not_fit_the_wsdl_is_never_sent(shop: Caller) -> None:
    given = ask("add", a="x", b=1, c=2)
    expected = {"input.body.a", "input.body.c"}
    if shop.connection.settings.is_inline:
        with pytest.raises(Invalid) as caught:
            shop.call(*given)
        assert {each.path for each in caught.value.fields} == expected
        return
    outcome = shop.call(*given)
    assert (outcome.status, outcome.error_class) == (None, ErrorClass.INVALID_INPUT)
    assert outcome.message.startswith("Nothing was sent: the input does not fit the WSDL:")
    assert {each["path"] for each in json.loads(outcome.body)["fields"]} == expected


def test_a_probe_reads_the_wsdl_and_finds_the_service(shop: Caller) -> None:
    outcome = shop.probe()
    assert outcome.ok, outcome.message


# A service of our own.


@pytest.fixture
def peer() -> SoapPeer:
    return SoapPeer()


@pytest.fixture
def peer_url(peer: SoapPeer) -> Iterator[str]:
    with serving(peer) as served:
        yield served.url


def caller(url: str, credentials: Credentials | None = None, **settings: Any) -> Caller:
    operations = {"get": {"operation": "Get", "body": {"size": 3}}}
    return Caller(TRANSPORT, url, credentials, operations, {"wsdl": wsdl(), **settings})


@pytest.mark.parametrize("kind", ["text", "digest"])
def test_a_username_token_is_taken(kind: str) -> None:
    peer = SoapPeer(guarded=True)
    with serving(peer) as served:
        made = caller(served.url, basic(USER, PASSWORD), wsse=True, wsse_password=kind)
        assert made.result("get", {}) == "xxx"
        assert "AUTHORIZATION" not in peer.asked[0][2]
        assert (PASSWORD.encode() in peer.bodies[0]) == (kind == "text")
        refused = caller(served.url, basic(USER, "wrong-password"), wsse=True, wsse_password=kind)
        outcome = refused.call("get", {})
        assert outcome.error_class is ErrorClass.UNAUTHORIZED
        assert outcome.message == (
            "The service answered with the fault wsse:FailedAuthentication: Who are you?."
        )


@pytest.mark.parametrize("wsse", [True, False])
def test_the_trace_is_sent_on_wherever_the_credentials_travel(
    peer: SoapPeer, peer_url: str, wsse: bool
) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    secrets = basic(USER, PASSWORD).secrets
    http = Traced(trace, Basic({"username": USER}, secrets))
    credentials = Credentials("basic", {"mode": "basic", "username": USER}, secrets, http)
    made = caller(peer_url, credentials, wsse=wsse, wsdl=in_parts(peer, peer_url))
    assert made.result("get", {}) == "xxx"
    made.probe()
    assert [asked[0] for asked in peer.asked] == [*["GET"] * 3, "POST", *["GET"] * 4]
    for _, _, headers in peer.asked:
        assert headers["TRACEPARENT"] == trace
        assert ("AUTHORIZATION" in headers) == (not wsse)


def test_a_username_token_needs_the_mode_basic(peer: SoapPeer, peer_url: str) -> None:
    outcome = caller(peer_url, wsse=True).call("get", {})
    assert outcome.error_class is ErrorClass.INVALID_INPUT
    assert "auth of the mode basic" in outcome.message
    assert peer.asked == []


def test_the_address_in_the_wsdl_is_not_trusted(peer: SoapPeer, peer_url: str) -> None:
    text = wsdl(address="http://127.0.0.1:1/elsewhere")
    assert caller(peer_url, wsdl=text, path="/texts").result("get", {}) == "xxx"
    assert peer.asked[0][:2] == ("POST", "/texts")
    outcome = caller(peer_url, wsdl=text, use_wsdl_address=True).call("get", {})
    assert outcome.error_class is ErrorClass.CONNECT_REFUSED


def test_the_address_in_the_wsdl_is_judged(peer: SoapPeer, peer_url: str) -> None:
    text = wsdl(address="http://169.254.169.254/latest/meta-data")
    outcome = caller(peer_url, wsdl=text, use_wsdl_address=True).call("get", {})
    assert outcome.error_class is ErrorClass.REFUSED_BY_POLICY
    assert peer.asked == []


def in_parts(peer: SoapPeer, url: str) -> str:
    peer.documents["/main.wsdl"] = wsdl(
        types=f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<xs:import namespace="{TNS}" schemaLocation="parts/types.xsd"/></xs:schema>'
    ).encode()
    peer.documents["/parts/types.xsd"] = TYPES.replace(
        "<xs:element", '<xs:include schemaLocation="../more.xsd"/><xs:element', 1
    ).encode()
    peer.documents["/more.xsd"] = (
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{TNS}"/>'.encode()
    )
    return f"{url}/main.wsdl"


def test_a_wsdl_in_parts_is_fetched_once(peer: SoapPeer, peer_url: str) -> None:
    made = caller(peer_url, wsdl=in_parts(peer, peer_url))
    assert [made.result("get", {}) for _ in range(3)] == ["xxx"] * 3
    assert [asked[:2] for asked in peer.asked] == [
        ("GET", "/main.wsdl"),
        ("GET", "/parts/types.xsd"),
        ("GET", "/more.xsd"),
        *[("POST", "/")] * 3,
    ]
    assert peer.asked[-1][2]["SOAPACTION"] == '"urn:get"'


def test_a_new_version_of_the_integration_reads_the_wsdl_anew(peer: SoapPeer, peer_url: str) -> None:
    for key in ("version 1", "version 2"):
        made = caller(peer_url, wsdl=in_parts(peer, peer_url))
        object.__setattr__(made.connection, "pool_key", key)
        made.result("get", {})
    assert [asked[0] for asked in peer.asked].count("GET") == 6


def _renamed(peer: SoapPeer) -> None:
    peer.documents["/main.wsdl"] = wsdl().replace('operation name="Get"', 'operation name="Fetch"').encode()


def test_a_wsdl_that_changed_is_read_again_after_a_time(
    peer: SoapPeer, peer_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = caller(peer_url, wsdl=in_parts(peer, peer_url))
    assert made.result("get", {}) == "xxx"
    _renamed(peer)
    assert made.result("get", {}) == "xxx"
    monkeypatch.setattr(reading, "_GOOD_SECONDS", 0.0)
    assert made.call("get", {}).error_class is ErrorClass.INVALID_INPUT
    assert made.result(*ask("Fetch", size=2)) == "xx"


@pytest.mark.parametrize("found", [None, b"<html>", b"<definitions/>"], ids=["nothing", "a page", "no WSDL"])
def test_a_call_goes_on_with_the_wsdl_that_was_read_when_it_cannot_be_read_again(
    peer: SoapPeer, peer_url: str, monkeypatch: pytest.MonkeyPatch, found: bytes | None
) -> None:
    made = caller(peer_url, wsdl=in_parts(peer, peer_url))
    assert made.result("get", {}) == "xxx"
    del peer.documents["/main.wsdl"]
    if found is not None:
        peer.documents["/main.wsdl"] = found
    monkeypatch.setattr(reading, "_GOOD_SECONDS", 0.0)
    assert made.result("get", {}) == "xxx"
    assert [asked[0] for asked in peer.asked] == ["GET", "GET", "GET", "POST", "GET", "POST"]


def test_a_wsdl_whose_host_hangs_leaves_a_call_half_of_its_time(
    peer: SoapPeer, peer_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(peer_url.rpartition(":")[2])
    with Relay(port).running() as relay:
        made = caller(peer_url, wsdl=in_parts(peer, f"http://127.0.0.1:{relay.port}"))
        assert made.result("get", {}) == "xxx"
        relay.held.set()
        monkeypatch.setattr(reading, "_GOOD_SECONDS", 0.0)
        outcome = made.call("get", {}, timeout=2.0)
    assert outcome.ok, outcome.message
    assert 900 <= outcome.timings.total_ms < 2000


def test_what_a_probe_reads_takes_the_place_of_what_was_read_before(peer: SoapPeer, peer_url: str) -> None:
    made = caller(peer_url, wsdl=in_parts(peer, peer_url))
    assert made.result("get", {}) == "xxx"
    _renamed(peer)
    assert made.probe().ok
    assert made.result(*ask("Fetch", size=2)) == "xx"


def test_credentials_go_for_documents_of_the_same_origin_only(peer: SoapPeer, peer_url: str) -> None:
    elsewhere = SoapPeer()
    secrets = basic(USER, PASSWORD).secrets
    credentials = Credentials("basic", {"username": USER}, secrets, Basic({"username": USER}, secrets))
    with serving(elsewhere) as other:
        in_parts(elsewhere, other.url)
        peer.documents["/main.wsdl"] = elsewhere.documents["/main.wsdl"].replace(
            b'"parts/', f'"{other.url}/parts/'.encode()
        )
        assert caller(peer_url, credentials, wsdl=f"{peer_url}/main.wsdl").result("get", {}) == "xxx"
    assert ["AUTHORIZATION" in asked[2] for asked in peer.asked] == [True, True]
    assert ["AUTHORIZATION" in asked[2] for asked in elsewhere.asked] == [False, False]


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("file:///etc/passwd", "no http or https address"),
        ("ftp://127.0.0.1/x", "no http or https address"),
        ("http://169.254.169.254/latest", "not allowed: 169.254.169.254"),
        ("/gone.xsd", "could not be read"),
    ],
)
def test_an_import_goes_nowhere_else(peer: SoapPeer, peer_url: str, location: str, says: str) -> None:
    address = in_parts(peer, peer_url)
    peer.documents["/main.wsdl"] = peer.documents["/main.wsdl"].replace(b"parts/types.xsd", location.encode())
    outcome = caller(peer_url, wsdl=address).call("get", {})
    assert not outcome.ok
    assert says in outcome.message
    assert "POST" not in [asked[0] for asked in peer.asked]


def test_the_address_of_the_wsdl_is_judged(peer: SoapPeer, peer_url: str) -> None:
    nowhere = Caller(
        TRANSPORT,
        peer_url,
        None,
        {"get": {"operation": "Get"}},
        {"wsdl": in_parts(peer, peer_url)},
        policy=AddressPolicy(ports=[0]),
    )
    assert nowhere.call("get", {"body": {"size": 1}}).error_class is ErrorClass.REFUSED_BY_POLICY
    assert peer.asked == []


def test_a_wsdl_that_is_busy_is_tried_again_since_nothing_was_sent() -> None:
    class Busy(SoapPeer):
        def __call__(self, environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return iter([b""])

    with serving(Busy()) as served:
        outcome = caller(served.url, wsdl=f"{served.url}/x").call("get", {})
    assert (outcome.status, outcome.error_class) == (503, ErrorClass.PROVIDER_BUSY)
    assert outcome.message.startswith("Nothing was sent: the WSDL could not be read:")


_DTD = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
_EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
HOSTILE = {
    "entities": (_DTD.encode() + envelope("<x>&b;</x>"), "DTD"),
    "external entity": (_EXTERNAL.encode() + envelope("<x>&a;</x>"), "DTD"),
    "entities in UTF-16": ((_DTD + envelope("<x>&b;</x>").decode()).encode("utf-16"), "DTD"),
    "depth": (envelope("<x>" * 5000 + "</x>" * 5000), "nested deeper|not well-formed"),
    "tags": (envelope("<x>" + "=" * 400_001 + "</x>"), "more than 400000 tags"),
    "not closed": (envelope("<x>"), "not well-formed"),
    "no XML": (b"hello", "not well-formed"),
    "other XML": (b"<html/>", "no SOAP envelope"),
    "nothing but spaces": (b" <!-- --> ", "not well-formed"),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_answer_is_a_protocol_fault(peer: SoapPeer, peer_url: str, kind: str) -> None:
    body, says = HOSTILE[kind]
    peer.answer = ("200 OK", body)
    outcome = caller(peer_url).call("get", {}, max_bytes=4_000_000)
    assert outcome.error_class is ErrorClass.PROTOCOL, outcome.message
    assert any(each in outcome.message for each in says.split("|")), outcome.message


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_wsdl_is_an_error_before_anything_is_sent(peer: SoapPeer, peer_url: str, kind: str) -> None:
    peer.documents["/hostile"] = HOSTILE[kind][0]
    outcome = caller(peer_url, wsdl=f"{peer_url}/hostile").call("get", {})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR, outcome.message
    assert [asked[0] for asked in peer.asked] == ["GET"]


def test_an_xinclude_in_an_answer_is_only_text(peer: SoapPeer, peer_url: str) -> None:
    inner = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
    peer.answer = ("200 OK", envelope(f'<GetResponse xmlns="{TNS}"><text>{inner}</text></GetResponse>'))
    result = caller(peer_url).result("get", {})
    assert result == {"include": {"@href": "file:///etc/passwd", "@parse": "text"}}


def test_an_answer_that_is_longer_as_json_is_too_large(peer: SoapPeer, peer_url: str) -> None:
    body = "<GetResponse xmlns='" + TNS + "'><text href='#a'/></GetResponse>"
    targets = "".join(f"<a id='a{n}'><text href='#a{n + 1}'/><text href='#a{n + 1}'/></a>" for n in range(40))
    peer.answer = ("200 OK", envelope(body.replace("#a", "#a0") + targets))
    outcome = caller(peer_url).call("get", {}, max_bytes=100_000)
    assert outcome.error_class in {ErrorClass.TOO_LARGE, None}
    assert len(outcome.body) <= 100_000


def test_an_empty_answer_is_nothing(peer: SoapPeer, peer_url: str) -> None:
    peer.answer = ("202 Accepted", b"")
    assert caller(peer_url).result("get", {}) is None


def test_a_fault_of_another_status_keeps_the_status(peer: SoapPeer, peer_url: str) -> None:
    peer.answer = ("503 Service Unavailable", fault("e:Server", "Later"))
    outcome = caller(peer_url).call("get", {})
    assert (outcome.status, outcome.error_class) == (503, ErrorClass.HTTP_5XX)
    assert outcome.message == "The service answered with the fault e:Server: Later."
    peer.answer = ("502 Bad Gateway", b"<html>")
    outcome = caller(peer_url).call("get", {})
    assert (outcome.error_class, outcome.body) == (ErrorClass.HTTP_5XX, b"<html>")
