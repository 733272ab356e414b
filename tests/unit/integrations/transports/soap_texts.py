"""WSDLs of a service with one operation, in both versions of SOAP."""

from __future__ import annotations

TNS = "urn:example:service"
XS = "http://www.w3.org/2001/XMLSchema"

#: What the operation takes and gives, when a test says nothing else.
SCHEMA = """<xs:element name="In"><xs:complexType><xs:sequence>
  <xs:element name="number" type="xs:int"/>
</xs:sequence></xs:complexType></xs:element>
<xs:element name="Out"><xs:complexType><xs:sequence>
  <xs:element name="number" type="xs:int"/>
</xs:sequence></xs:complexType></xs:element>"""


def wsdl(schema: str = SCHEMA, *, header: str = "", more: str = "") -> str:
    """A WSDL.

    Args:
        schema: inside of its schema; has the elements `In` and `Out`.
        header: the element of a header that the operation takes.
        more: further schemas.
    """
    message = f'<message name="H"><part name="login" element="t:{header}"/></message>' if header else ""
    part = '<s:header message="t:H" part="login" use="literal"/>' if header else ""
    bindings = "".join(
        f"""<binding name="Binding{number}" type="t:Type">
  <{prefix}:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="Do"><{prefix}:operation soapAction="urn:do"/>
    <input><{prefix}:body use="literal"/>{part.replace("s:", f"{prefix}:")}</input>
    <output><{prefix}:body use="literal"/></output></operation>
</binding>"""
        for number, prefix in (("", "s"), ("12", "s12"))
    )
    return f"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="{TNS}" targetNamespace="{TNS}"
 xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s12="http://schemas.xmlsoap.org/wsdl/soap12/">
<types><xs:schema xmlns:xs="{XS}" targetNamespace="{TNS}" elementFormDefault="qualified">{schema}</xs:schema>
{more}</types>
<message name="I"><part name="p" element="t:In"/></message><message name="O"><part name="p" element="t:Out"/></message>
{message}
<portType name="Type"><operation name="Do"><input message="t:I"/><output message="t:O"/></operation></portType>
{bindings}
<service name="Service">
  <port name="Port" binding="t:Binding"><s:address location="http://service.test/"/></port>
  <port name="Port12" binding="t:Binding12"><s12:address location="http://service.test/12"/></port>
</service></definitions>"""
