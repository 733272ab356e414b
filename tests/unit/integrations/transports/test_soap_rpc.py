"""The older style of SOAP: parameters by name, SOAP's own arrays, references."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.integrations.transports.soap.answers import judged
from hub.integrations.transports.soap.arguments import message_of
from hub.integrations.transports.soap.forms import SoapSettings
from hub.integrations.transports.soap.markup import etree
from hub.integrations.transports.soap.reading import of_text
from hub.integrations.transports.soap.request import Request
from hub.net.outcome import Outcome

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_BODY = f'<s:body use="encoded" namespace="urn:rpc" encodingStyle="{ENCODING}"/>'
_ARRAY = """<xs:complexType name="%s"><xs:complexContent><xs:restriction base="enc:Array">
  <xs:attribute ref="enc:arrayType" w:arrayType="%s[]"/></xs:restriction></xs:complexContent></xs:complexType>"""
SETTINGS = SoapSettings(
    wsdl=f"""<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:t" targetNamespace="urn:t"
 xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:enc="{ENCODING}" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<w:types><xs:schema targetNamespace="urn:t">
  {_ARRAY % ("Names", "xs:string")}{_ARRAY % ("Books", "t:Book")}
  <xs:complexType name="Book"><xs:all><xs:element name="pages" type="xs:int"/></xs:all></xs:complexType>
</xs:schema></w:types>
<w:message name="I"><w:part name="names" type="t:Names"/><w:part name="limit" type="xs:int"/></w:message>
<w:message name="O"><w:part name="books" type="t:Books"/><w:part name="more" type="xs:boolean"/></w:message>
<w:portType name="P"><w:operation name="find"><w:input message="t:I"/><w:output message="t:O"/></w:operation></w:portType>
<w:binding name="B" type="t:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="find"><s:operation soapAction=""/><w:input>{_BODY}</w:input><w:output>{_BODY}</w:output>
  </w:operation></w:binding>
<w:service name="S"><w:port name="P" binding="t:B"><s:address location="http://x.test/"/></w:port></w:service>
</w:definitions>"""
)


def test_parameters_and_arrays_are_sent_by_their_names() -> None:
    description = of_text(SETTINGS)
    request = Request("find", {"names": ["a", "b"], "limit": 2}, {}, "input", "operation")
    made = message_of(description, description.port(SETTINGS), request).envelope
    (call,) = made.find(f"{{{ENVELOPE}}}Body")
    assert call.tag == "{urn:rpc}find"
    assert [etree.QName(each).localname for each in call] == ["names", "limit"]
    assert [each.text for each in call[0]] == ["a", "b"]


@pytest.mark.parametrize(
    "books",
    [
        '<books enc:arrayType="t:Book[2]"><item><pages>1</pages></item><item><pages>2</pages></item></books>',
        '<books href="#a"/>',
        '<books i:type="enc:Array" enc:arrayType="t:Book[2]"><item href="#1"/><item href="#2"/></books>',
        '<books><item i:type="t:Book"><pages>1</pages></item><item href="#2"/></books>',
    ],
    ids=range(4),
)
def test_arrays_and_references_come_back_as_lists_of_their_items(books: str) -> None:
    text = f"""<e:Envelope xmlns:e="{ENVELOPE}" xmlns:enc="{ENCODING}" xmlns:t="urn:t"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><e:Body><r:findResponse xmlns:r="urn:rpc">{books}<more>1</more>
</r:findResponse><multiRef id="a" enc:root="0"><item href="#1"/><item href="#2"/></multiRef>
<multiRef id="1" enc:root="0" i:type="t:Book"><pages>1</pages></multiRef>
<multiRef id="2" enc:root="0" i:type="t:Book"><pages>2</pages></multiRef></e:Body></e:Envelope>"""
    description = of_text(SETTINGS)
    outcome = judged(
        Outcome(200, None, body=text.encode()), description, description.port(SETTINGS), "find", 10_000
    )
    result: Any = json.loads(outcome.body)
    assert result == {"books": [{"pages": 1}, {"pages": 2}], "more": True}, outcome.message
