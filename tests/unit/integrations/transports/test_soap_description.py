from __future__ import annotations

import time
from typing import Any

import pytest

from hub.integrations.transports.soap import bundle
from hub.integrations.transports.soap.bundle import MAX_BYTES, MAX_IMPORTS, of_address, of_text
from hub.integrations.transports.soap.description import BadDescriptionError, describe
from hub.integrations.transports.soap.forms import SoapSettings
from hub.integrations.transports.soap.markup import BadMarkupError, parse
from tests.unit.integrations.transports.soap_texts import SCHEMA, TNS, XS, wsdl


def fault(text: str) -> str:
    with pytest.raises((BadMarkupError, BadDescriptionError)) as caught:
        describe(of_text(text, strict=True), strict=True)
    return str(caught.value)


def test_a_wsdl_says_what_a_service_takes() -> None:
    port = describe(of_text(wsdl(), strict=True), strict=True).port(SoapSettings(wsdl=wsdl()))
    assert (list(port.operations), port.version) == (["Do"], "1.1")
    assert port.address == "http://service.test/"


def test_an_xml_declaration_before_a_text_says_nothing() -> None:
    text = '\ufeff\n<?xml version="1.0" encoding="UTF-16"?>' + wsdl().replace("urn:do", "urn:dö")
    describe(of_text(text, strict=True), strict=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"service": "Other"}, "no SOAP port Other; it has none"),
        ({"port": "Other"}, "no SOAP port Other; it has Service/Port (SOAP 1.1), Service/Port12 (SOAP 1.2)"),
        ({"soap_version": "1.2", "port": "Port"}, "no SOAP port Port of SOAP 1.2"),
        ({"binding": "Other"}, "no SOAP binding Other"),
    ],
)
def test_a_port_that_is_not_there_is_named(settings: dict[str, Any], says: str) -> None:
    description = describe(of_text(wsdl(), strict=True), strict=True)
    with pytest.raises(BadDescriptionError) as caught:
        description.port(SoapSettings(wsdl=wsdl(), **settings))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "version"),
    [
        ({}, "1.1"),
        ({"soap_version": "1.2"}, "1.2"),
        ({"port": "Port12"}, "1.2"),
        ({"binding": "Binding12"}, "1.2"),
        ({"binding": f"{{{TNS}}}Binding"}, "1.1"),
    ],
)
def test_a_port_is_chosen_by_the_settings(settings: dict[str, Any], version: str) -> None:
    description = describe(of_text(wsdl(), strict=True), strict=True)
    assert description.port(SoapSettings(wsdl=wsdl(), **settings)).version == version


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<a", "not well-formed XML"),
        ("<a/>", "no SOAP port"),
        ("<!DOCTYPE a><a/>", "document type declaration"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a c="&b;"/>', "document type declaration"),
        (wsdl().replace('type="xs:int"', 'type="xs:nope"'), "nope"),
        (wsdl().replace('element="t:In"', 'element="t:Nope"'), ""),
        (
            wsdl(f'<xs:import namespace="urn:x" schemaLocation="http://x.test/x.xsd"/>{SCHEMA}'),
            "imports http://x.test/x.xsd: a WSDL that is given as a text must bring everything along",
        ),
        (wsdl(f'<xs:include schemaLocation="/etc/passwd"/>{SCHEMA}'), "imports /etc/passwd"),
        ("\ud800<a/>", "not Unicode"),
    ],
    ids=range(9),
)
def test_a_wsdl_that_cannot_be_used_is_refused_with_a_reason(text: str, says: str) -> None:
    if says == "no SOAP port":
        with pytest.raises(BadDescriptionError, match=says):
            describe(of_text(text, strict=True), strict=True).port(SoapSettings(wsdl=text))
        return
    assert says in fault(text)


def groups(count: int) -> str:
    inner = "".join(
        f'<xs:group name="G{n}"><xs:sequence><xs:group ref="t:G{n - 1}"/><xs:group ref="t:G{n - 1}"/>'
        "</xs:sequence></xs:group>"
        for n in range(1, count)
    )
    first = '<xs:group name="G0"><xs:sequence><xs:element name="a" type="xs:int"/></xs:sequence></xs:group>'
    return f'{first}{inner}<xs:complexType name="C"><xs:group ref="t:G{count - 1}"/></xs:complexType>'


def attributes(count: int) -> str:
    inner = "".join(
        f'<xs:attributeGroup name="G{n}"><xs:attributeGroup ref="t:G{n - 1}"/>'
        f'<xs:attributeGroup ref="t:G{n - 1}"/></xs:attributeGroup>'
        for n in range(1, count)
    )
    return f'<xs:attributeGroup name="G0"><xs:attribute name="a" type="xs:int"/></xs:attributeGroup>{inner}'


HOSTILE = {
    "groups": (groups(60), "becomes more than 5000 elements and attributes"),
    "attribute groups": (attributes(60), "becomes more than 5000 elements and attributes"),
    "a group of itself": (
        '<xs:group name="G"><xs:sequence><xs:group ref="t:G"/></xs:sequence></xs:group>',
        "contains itself",
    ),
    "groups of each other": (
        (
            '<xs:group name="A"><xs:sequence><xs:group ref="t:B"/></xs:sequence></xs:group>'
            '<xs:group name="B"><xs:sequence><xs:group ref="t:A"/></xs:sequence></xs:group>'
        ),
        "contains itself",
    ),
    "a wide type": (
        '<xs:complexType name="W"><xs:sequence>'
        + "".join(f'<xs:element name="e{n}" type="xs:int"/>' for n in range(5001))
        + "</xs:sequence></xs:complexType>",
        "becomes more than 5000",
    ),
    "many uses": (
        groups(11)
        + "".join(
            f'<xs:complexType name="C{n}"><xs:group ref="t:G10"/></xs:complexType>' for n in range(1000)
        ),
        "more than 1000000 parts",
    ),
    "depth": ("<xs:annotation>" * 200 + "</xs:annotation>" * 200, "nested deeper than 100 levels"),
    "a long chain of types": (
        '<xs:complexType name="T0"/>'
        + "".join(
            f'<xs:complexType name="T{n}"><xs:complexContent><xs:extension base="t:T{n - 1}"/>'
            "</xs:complexContent></xs:complexType>"
            for n in range(2999, 0, -1)
        ),
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_schema_that_would_grow_without_measure_is_refused_soon(kind: str) -> None:
    inner, says = HOSTILE[kind]
    begun = time.process_time()
    assert says in fault(wsdl(inner + SCHEMA))
    assert time.process_time() - begun < 5


def test_groups_that_do_not_grow_much_are_fine() -> None:
    describe(of_text(wsdl(groups(8) + SCHEMA), strict=True), strict=True)


def test_a_type_may_extend_one_of_the_same_name() -> None:
    inner = '<xs:complexType name="A"><xs:complexContent><xs:extension base="o:A"/></xs:complexContent></xs:complexType>'
    other = f'<xs:schema xmlns:xs="{XS}" targetNamespace="urn:o"><xs:complexType name="A"/></xs:schema>'
    text = wsdl(f'<xs:import namespace="urn:o"/>{inner}{SCHEMA}', more=other).replace(
        "<xs:schema", '<xs:schema xmlns:o="urn:o"'
    )
    describe(of_text(text, strict=True), strict=True)


def fetched(documents: dict[str, str]) -> tuple[list[str], Any]:
    asked: list[str] = []

    def fetch(url: str, room: int) -> bytes:
        assert 0 <= room <= MAX_BYTES
        asked.append(url)
        return documents[url].encode()

    return asked, fetch


def imports(*locations: str) -> str:
    return "".join(f'<xs:import namespace="urn:{n}" schemaLocation="{x}"/>' for n, x in enumerate(locations))


def schema(namespace: str, inner: str = "") -> str:
    return f'<xs:schema xmlns:xs="{XS}" targetNamespace="{namespace}">{inner}</xs:schema>'


def test_imports_are_found_wherever_they_are_and_each_is_fetched_once() -> None:
    asked, fetch = fetched(
        {
            "http://x.test/a/s.wsdl": wsdl(imports("../b.xsd", "c.xsd#part", "http://y.test/d.xsd") + SCHEMA),
            "http://x.test/b.xsd": schema("urn:0", imports("b.xsd", "a/c.xsd").replace("urn:0", "urn:0x")),
            "http://x.test/a/c.xsd": schema("urn:1"),
            "http://y.test/d.xsd": schema("urn:2"),
        }
    )
    found = of_address("http://x.test/a/s.wsdl#top", fetch, strict=True)
    assert asked == [
        "http://x.test/a/s.wsdl",
        "http://x.test/b.xsd",
        "http://x.test/a/c.xsd",
        "http://y.test/d.xsd",
    ]
    assert b"x.test" not in b"".join(found.documents.values()).replace(b"urn:x.test", b"")


def test_there_are_not_too_many_imports() -> None:
    documents = {f"http://x.test/{n}": schema(f"urn:{n}") for n in range(MAX_IMPORTS + 1)}
    start = "http://x.test/s.wsdl"
    for count in (MAX_IMPORTS, MAX_IMPORTS + 1):
        text = wsdl(imports(*[f"http://x.test/{n}" for n in range(count)]) + SCHEMA)
        asked, fetch = fetched({start: text, **documents})
        if count == MAX_IMPORTS:
            describe(of_address(start, fetch, strict=True), strict=True)
            assert len(asked) == 1 + MAX_IMPORTS
        else:
            with pytest.raises(BadMarkupError, match="more than 30 imports"):
                of_address(start, fetch, strict=True)


def test_all_of_it_together_is_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 4000)
    text = wsdl(imports("http://x.test/a") + SCHEMA)
    _, fetch = fetched(
        {"http://x.test/s": text, "http://x.test/a": schema("urn:0", "<!--" + "x" * 4000 + "-->")}
    )
    with pytest.raises(BadMarkupError, match="longer than 4000 bytes with its imports"):
        of_address("http://x.test/s", fetch, strict=True)


def test_soaps_own_array_type_needs_no_import() -> None:
    inner = (
        '<xs:complexType name="Names"><xs:complexContent><xs:restriction base="enc:Array">'
        '<xs:attribute ref="enc:arrayType" wsdl:arrayType="xs:string[]"/>'
        "</xs:restriction></xs:complexContent></xs:complexType>"
    )
    text = wsdl(inner + SCHEMA).replace(
        "<xs:schema",
        '<xs:schema xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/"'
        ' xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"',
    )
    assert describe(of_text(text, strict=True), strict=True).types.get_type(f"{{{TNS}}}Names")


def test_the_xml_namespace_needs_no_network() -> None:
    inner = (
        '<xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="http://www.w3.org/2001/xml.xsd"/>'
        '<xs:complexType name="L"><xs:attribute ref="xml:lang"/></xs:complexType>'
    )
    describe(of_text(wsdl(inner + SCHEMA), strict=True), strict=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_documents_of_every_usual_encoding_are_read(encoding: str) -> None:
    root = parse(f'<?xml version="1.0" encoding="{encoding}"?><a b="ü"/>'.encode(encoding))
    assert root.get("b") == "ü"


def test_what_is_not_strict_is_repaired() -> None:
    assert parse(b"<a><b></a>", strict=False).tag == "a"
    with pytest.raises(BadMarkupError, match="DTD"):
        parse(b"<!DOCTYPE a><a><b></a>", strict=False)
    with pytest.raises(BadMarkupError):
        parse(b" <x <!DOCTYPE a><a/>", strict=False)
