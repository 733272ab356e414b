"""Arguments and results, by way of a description with every kind of type."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID

import pytest

from hub.core.errors import Invalid
from hub.integrations.transports.interface import Connection, Prepared
from hub.integrations.transports.soap import SoapTransport
from hub.integrations.transports.soap.answers import judged
from hub.integrations.transports.soap.arguments import MAX_MEMBERS, message_of
from hub.integrations.transports.soap.forms import SoapOperation, SoapSettings
from hub.integrations.transports.soap.markup import etree
from hub.integrations.transports.soap.reading import of_text
from hub.net.outcome import ErrorClass, Outcome
from tests.unit.integrations.transports.soap_texts import TNS, wsdl

TRANSPORT = SoapTransport()
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
TYPES = """
<xs:simpleType name="Colour"><xs:restriction base="xs:string"><xs:enumeration value="RED"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Sizes"><xs:list itemType="xs:int"/></xs:simpleType>
<xs:complexType name="Price"><xs:simpleContent><xs:extension base="xs:decimal">
  <xs:attribute name="currency" type="xs:string"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:complexType name="Line"><xs:sequence><xs:element name="sku" type="xs:string"/></xs:sequence>
  <xs:attribute name="count" type="xs:int"/></xs:complexType>
<xs:complexType name="Special"><xs:complexContent><xs:extension base="t:Line"><xs:sequence>
  <xs:element name="note" type="xs:string"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="All"><xs:sequence>
  <xs:element name="text" type="xs:string" minOccurs="0" nillable="true"/>
  <xs:element name="whole" type="xs:long" minOccurs="0"/>
  <xs:element name="decimal" type="xs:decimal" minOccurs="0"/>
  <xs:element name="double" type="xs:double" minOccurs="0"/>
  <xs:element name="flag" type="xs:boolean" minOccurs="0"/>
  <xs:element name="at" type="xs:dateTime" minOccurs="0"/>
  <xs:element name="day" type="xs:date" minOccurs="0"/>
  <xs:element name="time" type="xs:time" minOccurs="0"/>
  <xs:element name="span" type="xs:duration" minOccurs="0"/>
  <xs:element name="year" type="xs:gYear" minOccurs="0"/>
  <xs:element name="bytes" type="xs:base64Binary" minOccurs="0"/>
  <xs:element name="hex" type="xs:hexBinary" minOccurs="0"/>
  <xs:element name="colour" type="t:Colour" minOccurs="0"/>
  <xs:element name="sizes" type="t:Sizes" minOccurs="0"/>
  <xs:element name="price" type="t:Price" minOccurs="0"/>
  <xs:element name="line" type="t:Line" minOccurs="0" maxOccurs="unbounded"/>
  <xs:element name="anything" type="xs:anyType" minOccurs="0"/>
  <xs:choice minOccurs="0" maxOccurs="unbounded">
    <xs:element name="left" type="xs:int"/><xs:element name="right" type="xs:int"/>
  </xs:choice>
  <xs:any minOccurs="0" processContents="lax"/>
</xs:sequence></xs:complexType>
<xs:element name="In" type="t:All"/>
<xs:element name="Out" type="t:All"/>
<xs:element name="Login"><xs:complexType><xs:sequence>
  <xs:element name="user" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
<xs:element name="Trace"><xs:complexType><xs:sequence>
  <xs:element name="id" type="xs:int"/></xs:sequence></xs:complexType></xs:element>
"""
SETTINGS = SoapSettings(wsdl=wsdl(TYPES, header="Login"))
CONNECTION = Connection(
    id=UUID(int=1),
    tenant_id=UUID(int=2),
    base_url="https://service.test/soap",
    headers={},
    settings=SETTINGS,
    operations={"do": SoapOperation(operation="Do", body={"whole": 1, "text": "default"})},
    follow_redirects=0,
    tls=None,
    pool_key="key",
)


def prepare(body: Any, headers: Any = None) -> Prepared:
    return TRANSPORT.prepare(CONNECTION, "call", {"operation": "Do", "body": body, "headers": headers})


def sent(body: Any, headers: Any = None) -> Any:
    """The envelope of a call."""
    description = of_text(SETTINGS)
    return message_of(description, description.port(SETTINGS), prepare(body, headers).wire).envelope


def texts(body: Any) -> list[tuple[str, str | None]]:
    (root,) = sent(body).find(f"{{{ENVELOPE}}}Body")
    return [(etree.QName(each).localname, each.text) for each in root.iter() if each is not root]


def faults(body: Any, headers: Any = None) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        prepare(body, headers)
    return {fault.path: fault.message for fault in caught.value.fields}


def received(inner: str, *, max_bytes: int = 100_000, header: str = "") -> Outcome:
    body = f'<e:Envelope xmlns:e="{ENVELOPE}" xmlns:i="{XSI}" xmlns:x="http://www.w3.org/2001/XMLSchema">{header}'
    body += f'<e:Body><Out xmlns="{TNS}" xmlns:t="{TNS}">{inner}</Out></e:Body></e:Envelope>'
    description = of_text(SETTINGS)
    outcome = Outcome(200, None, body=body.encode())
    return judged(outcome, description, description.port(SETTINGS), "Do", max_bytes)


def result(inner: str) -> Any:
    outcome = received(inner)
    assert outcome.ok, outcome.message
    assert outcome.headers["content-type"] == "application/json"
    found = json.loads(outcome.body)
    # Lists are there even when they are empty.
    return {name: value for name, value in found.items() if value != []}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("text", "Zoë\n<&>", "Zoë\n<&>"),
        ("text", 7, "7"),
        ("whole", -(2**62), str(-(2**62))),
        ("whole", "0012", "0012"),
        ("whole", 5.0, "5"),
        ("decimal", "0.10000000000000000000001", "0.10000000000000000000001"),
        ("decimal", 1e-7, "0.0000001"),
        ("double", 1.5, "1.5"),
        ("double", "-INF", "-INF"),
        ("flag", True, "true"),
        ("flag", "0", "false"),
        ("at", "2026-01-31T12:00:00.123456789+02:00", "2026-01-31T12:00:00.123456789+02:00"),
        ("day", "2026-01-31Z", "2026-01-31Z"),
        ("time", "12:00:00Z", "12:00:00Z"),
        ("span", "P1DT2H", "P1DT2H"),
        ("year", "2026", "2026"),
        ("bytes", "aGVsbG8=", "aGVsbG8="),
        ("hex", "0aFF", "0aFF"),
        ("colour", "RED", "RED"),
        ("sizes", [1, "2"], "1 2"),
        ("price", {"_value_1": "1.50", "currency": "EUR"}, "1.50"),
        ("price", 2, "2"),
        ("anything", "text", "text"),
    ],
)
def test_a_value_is_sent_as_its_type(name: str, value: Any, text: str) -> None:
    assert texts({name: value}) == [(name, text)]


def test_objects_lists_attributes_choices_and_wildcards_are_sent() -> None:
    (root,) = sent(
        {
            "line": [{"sku": "a", "count": 2}, {"sku": "b"}],
            "_value_1": [{"left": 1}, {"right": 2}],
            "_value_2": '<free xmlns="urn:free"><x/></free>',
        }
    ).find(f"{{{ENVELOPE}}}Body")
    assert [etree.QName(each).localname for each in root] == ["line", "line", "left", "right", "free"]
    assert root[0].get("count") == "2"


@pytest.mark.parametrize(
    ("body", "path", "says"),
    [
        ({"nope": 1}, "input.body.nope", "unknown; it has text, whole, decimal"),
        ({"whole": "1.5"}, "input.body.whole", "must be a whole number"),
        ({"whole": True}, "input.body.whole", "must be a whole number"),
        ({"decimal": "1e5"}, "input.body.decimal", "must be a decimal number"),
        ({"double": "much"}, "input.body.double", "must be a number"),
        ({"double": float("inf")}, "input.body.double", "must be a text, a number"),
        ({"flag": "yes"}, "input.body.flag", "must be true or false"),
        ({"at": "2026-01-31"}, "input.body.at", "must be a date and time"),
        ({"day": "31.1.2026"}, "input.body.day", "must be a date such as"),
        ({"time": "noon"}, "input.body.time", "must be a time"),
        ({"span": "P"}, "input.body.span", "must be a duration"),
        ({"year": "MMXXVI"}, "input.body.year", "must be a gYear"),
        ({"bytes": "a"}, "input.body.bytes", "must be bytes in base64"),
        ({"hex": "abc"}, "input.body.hex", "hexadecimal"),
        ({"sizes": 1}, "input.body.sizes", "must be a list"),
        ({"sizes": [1, "x"]}, "input.body.sizes", "must be a whole number"),
        ({"text": "\x00"}, "input.body.text", "character that XML cannot hold"),
        ({"text": "\ud800"}, "input.body.text", "character that XML cannot hold"),
        ({"text": []}, "input.body.text", "must be a text"),
        ({"price": {"currency": "EUR", "x": 1}}, "input.body.price.x", "unknown; it has _value_1, currency"),
        ({"line": "a"}, "input.body.line", "must be an object"),
        ({"line": [{"sku": "a"}, {"sku": "b", "count": "x"}]}, "input.body.line.1.count", "whole number"),
        ({"line": [{}]}, "input.body.line.sku", "Missing element sku"),
        ({"_value_1": [{"left": "x"}]}, "input.body._value_1.0.left", "whole number"),
        ({"_value_1": [{"middle": 1}]}, "input.body._value_1.0.middle", "unknown; it has left, right"),
        ({"_value_2": "<a"}, "input.body._value_2", "one well-formed XML element"),
        ({"_value_2": {}}, "input.body._value_2", "must be an XML element as a text"),
        ({"_soapheaders": {}}, "input.body._soapheaders", "unknown"),
    ],
    ids=range(28),
)
def test_what_does_not_fit_is_named_with_its_place(body: Any, path: str, says: str) -> None:
    found = faults(body)
    assert list(found) == [path]
    assert says in found[path]


def test_every_fault_is_named_at_once() -> None:
    assert set(faults({"whole": "x", "nope": 1}, {"Nope": 1})) == {
        "input.body.whole",
        "input.body.nope",
        "input.headers.Nope",
    }


def test_an_input_whose_objects_would_take_too_much_memory_is_refused() -> None:
    lines = [{"sku": "a"}] * (MAX_MEMBERS // 2 + 1)
    assert faults({"line": lines})[f"input.body.line.{MAX_MEMBERS // 2 - 10}"].startswith("has more than")


def test_an_input_that_is_too_deep_is_refused() -> None:
    deep: Any = "x"
    for _ in range(3000):
        deep = {"sku": deep}
    assert "must be a text" in faults({"line": deep})["input.body.line.sku"]


def test_headers_are_declared_or_named_by_their_element() -> None:
    header = sent({}, {"login": {"user": "ann"}}).find(f"{{{ENVELOPE}}}Header")
    assert header.findtext(f"{{{TNS}}}Login/{{{TNS}}}user") == "ann"
    header = sent({}, {"login": {"user": "ann"}, f"{{{TNS}}}Trace": {"id": 7}}).find(f"{{{ENVELOPE}}}Header")
    assert [etree.QName(each).localname for each in header] == ["Login", "Trace"]


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"login": {"user": []}}, "input.headers.login.user"),
        ({"login": {}}, "input.headers.login.user"),
        ({f"{{{TNS}}}Nope": 1}, f"input.headers.{{{TNS}}}Nope"),
        ({"{": 1}, "input.headers.{"),
        ({f"{{{TNS}}}Trace": {}}, f"input.headers.{{{TNS}}}Trace"),
    ],
    ids=range(5),
)
def test_headers_that_do_not_fit_are_named(headers: Any, path: str) -> None:
    assert list(faults({}, headers)) == [path]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<text>Zoë</text>", {"text": "Zoë"}),
        ("<text/>", {"text": ""}),
        ('<text i:nil="true"/>', {"text": None}),
        ("<whole> 9007199254740993 </whole>", {"whole": 9007199254740993}),
        (f"<whole>{'9' * 5000}</whole>", {"whole": "9" * 5000}),
        ("<whole>many</whole>", {"whole": "many"}),
        ("<whole/>", {"whole": None}),
        ("<decimal>0.10000000000000000000000001</decimal>", {"decimal": "0.10000000000000000000000001"}),
        ("<double>1.50</double>", {"double": 1.5}),
        ("<double>-INF</double>", {"double": "-INF"}),
        ("<double>1e999</double>", {"double": "1e999"}),
        ("<flag>1</flag>", {"flag": True}),
        ("<flag>maybe</flag>", {"flag": "maybe"}),
        ("<at>2026-01-31T12:00:00.123456789+02:00</at>", {"at": "2026-01-31T12:00:00.123456789+02:00"}),
        ("<day>2026-01-31Z</day>", {"day": "2026-01-31Z"}),
        ("<year>2026</year>", {"year": "2026"}),
        ("<bytes>aGVs\n  bG8=</bytes>", {"bytes": "aGVsbG8="}),
        ("<sizes>1 2</sizes>", {"sizes": [1, 2]}),
        ('<price currency="EUR">1.50</price>', {"price": {"currency": "EUR", "_value_1": "1.50"}}),
        ('<line count="2"><sku>a</sku></line>', {"line": [{"sku": "a", "count": 2}]}),
        ('<line i:type="t:Special"><sku>a</sku><note>n</note></line>', {"line": [{"sku": "a", "note": "n"}]}),
        ("<left>1</left><right>2</right><left>3</left>", {"left": [1, 3], "right": [2]}),
        ("<anything i:type='x:int'>7</anything>", {"anything": 7}),
        ("<anything><a>1</a><a>2</a></anything>", {"anything": {"a": ["1", "2"]}}),
        ("<anything i:type='q:nope'>7</anything>", {"anything": "7"}),
        ("<free xmlns='urn:free' a='1'>x<b/>y</free>", {"free": {"@a": "1", "b": "", "#text": "xy"}}),
        ("<whole>1</whole><whole>2</whole><whole>3</whole>", {"whole": [1, 2, 3]}),
        ("<text><unexpected>1</unexpected></text>", {"text": {"unexpected": "1"}}),
    ],
    ids=range(28),
)
def test_an_answer_becomes_json_and_nothing_of_it_is_lost(inner: str, expected: Any) -> None:
    assert result(inner) == expected


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_what_repeats_unexpectedly_is_one_list_however_often(count: int) -> None:
    values = [str(number) for number in range(count)]
    free = "".join(f"<a>{value}</a>" for value in values)
    known = "".join(f"<sizes>{value} 0</sizes>" for value in values)
    assert result(f"<anything>{free}</anything>") == {"anything": {"a": values}}
    assert result(known) == {"sizes": [[int(value), 0] for value in values]}


def test_what_repeats_unexpectedly_is_read_in_time() -> None:
    begun = time.process_time()
    outcome = received(f"<anything>{'<a/>' * 60_000}</anything>", max_bytes=2_000_000)
    assert len(json.loads(outcome.body)["anything"]["a"]) == 60_000
    assert time.process_time() - begun < 5


def test_elements_that_may_repeat_are_always_lists() -> None:
    assert json.loads(received("").body) == {"line": [], "left": [], "right": []}


def test_a_reference_stands_for_its_target() -> None:
    body = f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><Out xmlns="{TNS}"><line href="#1"/></Out>'
    body += '<x id="1"><sku>a</sku></x></e:Body></e:Envelope>'
    description = of_text(SETTINGS)
    outcome = judged(
        Outcome(200, None, body=body.encode()), description, description.port(SETTINGS), "Do", 10_000
    )
    assert json.loads(outcome.body)["line"] == [{"sku": "a"}]


def test_references_that_multiply_are_cut() -> None:
    targets = "".join(f'<a id="{n}"><a href="#{n + 1}"/><a href="#{n + 1}"/></a>' for n in range(100))
    body = f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><Out xmlns="{TNS}"><line href="#0"/></Out>{targets}'
    body += "</e:Body></e:Envelope>"
    description = of_text(SETTINGS)
    begun = time.process_time()
    outcome = judged(
        Outcome(200, None, body=body.encode()), description, description.port(SETTINGS), "Do", 1_000_000
    )
    assert outcome.error_class in {None, ErrorClass.TOO_LARGE, ErrorClass.PROTOCOL}
    assert len(outcome.body) <= 1_000_000
    assert time.process_time() - begun < 5


def test_a_reference_to_itself_is_a_fault() -> None:
    body = f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><Out xmlns="{TNS}"><line href="#0"/></Out>'
    body += '<a id="0" href="#0"/></e:Body></e:Envelope>'
    description = of_text(SETTINGS)
    outcome = judged(
        Outcome(200, None, body=body.encode()), description, description.port(SETTINGS), "Do", 1_000_000
    )
    assert outcome.error_class is ErrorClass.PROTOCOL
    assert "refers to itself" in outcome.message


def test_a_result_over_the_cap_is_too_large() -> None:
    outcome = received("<line><sku>a</sku></line>" * 100, max_bytes=1000)
    assert outcome.error_class is ErrorClass.TOO_LARGE


def test_choices_that_could_be_read_in_many_ways_take_no_time() -> None:
    types = f"""<xs:complexType name="T"><xs:choice>
      <xs:sequence><xs:element name="a" type="t:T" minOccurs="0"/><xs:element name="x" type="xs:int"/></xs:sequence>
      <xs:sequence><xs:element name="a" type="t:T" minOccurs="0"/><xs:element name="y" type="xs:int"/></xs:sequence>
      </xs:choice></xs:complexType>{TYPES.replace('name="anything" type="xs:anyType"', 'name="anything" type="t:T"')}"""
    settings = SoapSettings(wsdl=wsdl(types))
    description = of_text(settings)
    inner = "<a>" * 80 + "<y>1</y>" + "</a>" * 80
    body = f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><Out xmlns="{TNS}"><anything>{inner}</anything></Out></e:Body></e:Envelope>'
    begun = time.process_time()
    outcome = judged(
        Outcome(200, None, body=body.encode()), description, description.port(settings), "Do", 100_000
    )
    assert outcome.ok, outcome.message
    assert time.process_time() - begun < 2
