"""Two schemas that WSDLs refer to without bringing them, in as much as is needed to read a WSDL.

Their names and structure are those of SOAP 1.1, 5 (https://www.w3.org/TR/2000/NOTE-SOAP-20000508/) and of the XML
namespace (https://www.w3.org/XML/1998/namespace).
"""

from __future__ import annotations

XSD = "http://www.w3.org/2001/XMLSchema"
SOAP_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
XML = "http://www.w3.org/XML/1998/namespace"

_SIMPLE = [
    "anyURI",
    "base64Binary",
    "boolean",
    "byte",
    "date",
    "dateTime",
    "decimal",
    "double",
    "duration",
    "float",
    "gDay",
    "gMonth",
    "gMonthDay",
    "gYear",
    "gYearMonth",
    "hexBinary",
    "int",
    "integer",
    "language",
    "long",
    "Name",
    "NCName",
    "negativeInteger",
    "NMTOKEN",
    "nonNegativeInteger",
    "nonPositiveInteger",
    "normalizedString",
    "positiveInteger",
    "QName",
    "short",
    "string",
    "time",
    "token",
    "unsignedByte",
    "unsignedInt",
    "unsignedLong",
    "unsignedShort",
]


_ENCODING_PLACE = "/known/soap-encoding"


def _encoded(name: str) -> str:
    base = "base64Binary" if name == "base64" else name
    return (
        f'<xs:element name="{name}" type="t:{name}"/><xs:complexType name="{name}"><xs:simpleContent>'
        f'<xs:extension base="xs:{base}"><xs:attributeGroup ref="t:commonAttributes"/></xs:extension>'
        "</xs:simpleContent></xs:complexType>"
    )


# It imports itself, since zeep looks for this namespace on the network wherever it is not imported.
_ENCODING_SCHEMA = f"""<xs:schema xmlns:xs="{XSD}" xmlns:t="{SOAP_ENCODING}" targetNamespace="{SOAP_ENCODING}">
<xs:import namespace="{SOAP_ENCODING}" schemaLocation="{_ENCODING_PLACE}"/>
<xs:attribute name="arrayType" type="xs:string"/>
<xs:attribute name="offset" type="xs:string"/>
<xs:attribute name="position" type="xs:string"/>
<xs:attributeGroup name="commonAttributes">
  <xs:attribute name="id" type="xs:ID"/><xs:attribute name="href" type="xs:anyURI"/>
  <xs:anyAttribute namespace="##other" processContents="lax"/>
</xs:attributeGroup>
<xs:attributeGroup name="arrayAttributes">
  <xs:attribute ref="t:arrayType"/><xs:attribute ref="t:offset"/>
</xs:attributeGroup>
<xs:group name="Array"><xs:sequence>
  <xs:any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
</xs:sequence></xs:group>
<xs:complexType name="Array">
  <xs:group ref="t:Array" minOccurs="0"/>
  <xs:attributeGroup ref="t:arrayAttributes"/><xs:attributeGroup ref="t:commonAttributes"/>
</xs:complexType>
<xs:element name="Array" type="t:Array"/>
{"".join(_encoded(name) for name in (*_SIMPLE, "base64"))}
</xs:schema>"""

_XML_SCHEMA = f"""<xs:schema xmlns:xs="{XSD}" xmlns:xml="{XML}" targetNamespace="{XML}">
<xs:attribute name="lang" type="xs:string"/>
<xs:attribute name="space" type="xs:string"/>
<xs:attribute name="base" type="xs:anyURI"/>
<xs:attribute name="id" type="xs:ID"/>
<xs:attributeGroup name="specialAttrs">
  <xs:attribute ref="xml:base"/><xs:attribute ref="xml:lang"/>
  <xs:attribute ref="xml:space"/><xs:attribute ref="xml:id"/>
</xs:attributeGroup>
</xs:schema>"""

#: Namespace → its place in a bundle, and its text.
KNOWN = {
    SOAP_ENCODING: (_ENCODING_PLACE, _ENCODING_SCHEMA.encode()),
    XML: ("/known/xml", _XML_SCHEMA.encode()),
}
