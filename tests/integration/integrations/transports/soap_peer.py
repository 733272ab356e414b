"""A small SOAP service of our own, for what a real one does not do: a UsernameToken, WSDLs in parts, hostile answers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from hub.integrations.transports.soap.markup import etree

USER, PASSWORD = "ann", "canary-password-of-the-soap-service"

TNS = "urn:example:text"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_XS = "http://www.w3.org/2001/XMLSchema"

TYPES = f"""<xs:schema xmlns:xs="{_XS}" targetNamespace="{TNS}" elementFormDefault="qualified">
<xs:element name="Get"><xs:complexType><xs:sequence>
  <xs:element name="size" type="xs:int"/>
</xs:sequence></xs:complexType></xs:element>
<xs:element name="GetResponse"><xs:complexType><xs:sequence>
  <xs:element name="text" type="xs:string"/>
</xs:sequence></xs:complexType></xs:element>
</xs:schema>"""


def wsdl(address: str = "http://elsewhere.test/", types: str = TYPES, imports: str = "") -> str:
    """The description of the service.

    Args:
        address: that it names.
        types: the schema inside of it.
        imports: in place of everything about messages.
    """
    rest = f"""<message name="In"><part name="parameters" element="t:Get"/></message>
<message name="Out"><part name="parameters" element="t:GetResponse"/></message>
<portType name="Texts"><operation name="Get"><input message="t:In"/><output message="t:Out"/></operation></portType>
<binding name="TextsBinding" type="t:Texts">
  <soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="Get"><soap:operation soapAction="urn:get"/>
    <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>
</binding>
<service name="Texts"><port name="Port" binding="t:TextsBinding"><soap:address location="{address}"/></port></service>"""
    return f"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="{TNS}" targetNamespace="{TNS}"
 xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/">{imports}<types>{types}</types>{rest}</definitions>"""


def envelope(body: str, header: str = "") -> bytes:
    return f'<e:Envelope xmlns:e="{ENVELOPE}">{header}<e:Body>{body}</e:Body></e:Envelope>'.encode()


def fault(code: str, text: str) -> bytes:
    return envelope(f"<e:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring></e:Fault>")


class SoapPeer:
    """A WSGI application.

    Args:
        guarded: calls need the UsernameToken of `USER`.

    Attributes:
        asked: method, path and headers of every request.
        documents: path → what a GET gives.
        answer: what a POST gets in place of the text that it asked for: a status and a body.
    """

    def __init__(self, *, guarded: bool = False) -> None:
        self.guarded = guarded
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.documents: dict[str, bytes] = {}
        self.answer: tuple[str, bytes] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {name[5:]: str(value) for name, value in environ.items() if name.startswith("HTTP_")}
        self.asked.append((method, path, headers | {"CONTENT_TYPE": environ.get("CONTENT_TYPE", "")}))
        self.bodies.append(body)
        if method == "GET":
            found = self.documents.get(path)
            status = "200 OK" if found is not None else "405 Method Not Allowed"
            content = found or b""
        else:
            status, content = self.answer or self._texts(body)
        start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(content)))])
        return iter([content])

    def _texts(self, body: bytes) -> tuple[str, bytes]:
        root = etree.fromstring(body)
        if self.guarded and not _is_known(root):
            return "500 Internal Server Error", fault("wsse:FailedAuthentication", "Who are you?")
        size = int(root.findtext(f".//{{{TNS}}}size"))
        text = f'<GetResponse xmlns="{TNS}"><text>{"x" * size}</text></GetResponse>'
        return "200 OK", envelope(text)


def _is_known(root: Any) -> bool:
    token = root.find(f".//{{{_WSSE}}}UsernameToken")
    if token is None or token.findtext(f"{{{_WSSE}}}Username") != USER:
        return False
    password = token.find(f"{{{_WSSE}}}Password")
    if password.get("Type").endswith("#PasswordText"):
        return bool(password.text == PASSWORD)
    nonce = base64.b64decode(token.findtext(f"{{{_WSSE}}}Nonce"))
    created = token.findtext(f"{{{_WSU}}}Created")
    expected = hashlib.sha1(nonce + created.encode() + PASSWORD.encode()).digest()  # noqa: S324 - the profile's
    return bool(base64.b64decode(password.text) == expected)
