"""A WSDL and everything that it imports, as documents that refer to each other and to nothing else.

Promises: at most 30 imports and 8 MiB together; every address is fetched by the function that was given, so it is
judged like any other; documents are parsed safely, and come out with their imports renamed to places in the bundle.
Leaves to others: what the documents mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

from hub.integrations.transports.soap import weight
from hub.integrations.transports.soap.known import KNOWN, SOAP_ENCODING, XSD
from hub.integrations.transports.soap.markup import BadMarkupError, etree, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_IMPORTS = 30
MAX_BYTES = 8 * 1_048_576
ROOT = "/0"

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SCHEMA = f"{{{XSD}}}schema"
_IMPORT = f"{{{XSD}}}import"
_LOCATIONS = {
    f"{{{_WSDL}}}import": "location",
    _IMPORT: "schemaLocation",
    f"{{{XSD}}}include": "schemaLocation",
    f"{{{XSD}}}redefine": "schemaLocation",
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """Documents by their place; the WSDL is at `ROOT`.

    Args:
        documents: the texts.
        size: their bytes as they were fetched.
    """

    documents: Mapping[str, bytes]
    size: int


@dataclass(slots=True)
class _Gathering:
    """What has been found so far."""

    fetch: Callable[[str, int], bytes] | None
    strict: bool
    places: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)
    roots: list[Any] = field(default_factory=list)
    size: int = 0

    def take(self, place: str, content: bytes, url: str | None) -> None:
        self.size += len(content)
        if self.size > MAX_BYTES:
            raise BadMarkupError(f"it is longer than {MAX_BYTES} bytes with its imports")
        try:
            root = parse(content, strict=self.strict)
        except BadMarkupError as error:
            raise BadMarkupError(f"{error} ({url})" if url and place != ROOT else str(error)) from None
        for node in root.iter(*_LOCATIONS):
            self._rename(node, url)
        text = etree.tostring(root)
        if SOAP_ENCODING.encode() in text:
            self._bring_encoding(root)
            text = etree.tostring(root)
        self.documents[place] = text
        self.roots.append(root)

    def _rename(self, node: Any, url: str | None) -> None:
        attribute = _LOCATIONS[node.tag]
        location = (node.get(attribute) or "").strip()
        if node.tag == _IMPORT and node.get("namespace") in KNOWN:
            place, content = KNOWN[node.get("namespace")]
            self.documents[place] = content
            node.set(attribute, place)
        elif location:
            node.set(attribute, self._place(location, url))

    def _place(self, location: str, url: str | None) -> str:
        if self.fetch is None:
            raise BadMarkupError(
                f"it imports {location[:200]}: a WSDL that is given as a text must bring everything along;"
                " give its address instead"
            )
        try:
            target = urldefrag(urljoin(url or "", location)).url
            scheme = urlsplit(target).scheme
        except ValueError:
            scheme = target = ""
        if scheme not in {"http", "https"}:
            raise BadMarkupError(f"it imports {location[:200]}, which is no http or https address")
        if target not in self.places:
            if len(self.places) > MAX_IMPORTS:
                raise BadMarkupError(f"it has more than {MAX_IMPORTS} imports")
            self.places[target] = f"/{len(self.places)}"
            self.waiting.append(target)
        return self.places[target]

    def _bring_encoding(self, root: Any) -> None:
        """SOAP's own types are used everywhere without an import."""
        place, content = KNOWN[SOAP_ENCODING]
        self.documents[place] = content
        for schema in root.iter(_SCHEMA):
            if not any(node.get("namespace") == SOAP_ENCODING for node in schema.iterchildren(_IMPORT)):
                node = etree.Element(_IMPORT, namespace=SOAP_ENCODING, schemaLocation=place)
                schema.insert(0, node)


def of_text(text: str, *, strict: bool) -> Bundle:
    """Of a WSDL that imports nothing.

    Raises:
        BadMarkupError: it cannot be used.
    """
    gathering = _Gathering(None, strict)
    # A text has no encoding any more, whatever its declaration says.
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith("<?xml"):
        text = text.partition("?>")[2]
    try:
        content = text.encode()
    except UnicodeEncodeError:
        raise BadMarkupError("it has text that is not Unicode") from None
    gathering.take(ROOT, content, None)
    return _finished(gathering)


def of_address(url: str, fetch: Callable[[str, int], bytes], *, strict: bool) -> Bundle:
    """Of the WSDL at an address.

    Args:
        url: its address.
        fetch: gets an address and the most bytes that may come; what it raises ends this.
        strict: refuses what is not well-formed.

    Raises:
        BadMarkupError: it cannot be used.
    """
    url = urldefrag(url).url
    gathering = _Gathering(fetch, strict, places={url: ROOT}, waiting=[url])
    while gathering.waiting:
        target = gathering.waiting.pop(0)
        gathering.take(gathering.places[target], fetch(target, MAX_BYTES - gathering.size), target)
    return _finished(gathering)


def _finished(gathering: _Gathering) -> Bundle:
    weight.check(gathering.roots)
    return Bundle(gathering.documents, gathering.size)
