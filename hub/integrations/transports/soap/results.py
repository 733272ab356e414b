"""An answer as JSON, guided by the types of the description.

Every element stands under its local name; one that may repeat is a list, empty when it is absent; other absent ones
are left out, and `xsi:nil` is null. Attributes stand among them; the text of an element with attributes is `_value_1`.
What the description does not know is kept too: its attributes begin with @, its text is `#text`. zeep's own reader is
not used for answers: it drops what does not fit, rounds, and takes time and memory without measure when types are
ambiguous or wide. This one goes over the answer once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zeep import xsd
from zeep.exceptions import Error as ZeepError

from hub.integrations.transports.soap import scalars
from hub.integrations.transports.soap.known import SOAP_ENCODING
from hub.integrations.transports.soap.markup import BadMarkupError, etree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARRAY_TYPE = f"{{{SOAP_ENCODING}}}arrayType"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_MAX_DEPTH = 150
_MAX_EFFORT = 1_000_000
_MAX_SHAPES = 2_000
_TEXT = "_value_1"


class TooLongError(Exception):
    """The result is longer than its cap."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a complex type has.

    Args:
        elements: local name → type, and whether it may repeat.
        attributes: zeep's name and type, by qualified name.
        text: type of its text, for an element of text and attributes.
        is_array: SOAP's own array.
        item: type of the array's items, where it is told.
    """

    elements: Mapping[str, tuple[Any, bool]]
    attributes: Mapping[str, tuple[str, Any]]
    text: Any
    is_array: bool
    item: Any


@dataclass(slots=True)
class Reader:
    """Reads one answer.

    Args:
        types: zeep's schema.
        shapes: those of its types that were needed before.
        room: characters that the result may have.
        targets: elements by id, to which others refer (SOAP 1.1, 5.4.1); set here.
        effort: parts of types that may be looked at.
    """

    types: Any
    shapes: dict[Any, Shape]
    room: int
    targets: Mapping[str, Any] = field(default_factory=dict)
    effort: int = _MAX_EFFORT

    def result(self, output: Any, envelope: Any, namespace: str) -> Any:
        """What an operation gives.

        Args:
            output: zeep's message; None when the operation has none.
            envelope: of the answer.
            namespace: of the envelope.

        Raises:
            TooLongError: over the cap.
            BadMarkupError: it is no envelope, or refers to itself.
        """
        body = envelope.find(f"{{{namespace}}}Body")
        if envelope.tag != f"{{{namespace}}}Envelope" or body is None:
            raise BadMarkupError("it is no SOAP envelope of the version that was asked for")
        self.targets = {each.get("id"): each for each in body if each.get("id")}
        expected = output.body if output is not None else None
        roots = [each for each in body if each.get(f"{{{SOAP_ENCODING}}}root") != "0"]
        value = self._body(expected, roots)
        declared = output.header if output is not None else None
        header = envelope.find(f"{{{namespace}}}Header")
        if declared is None or not declared.type.elements or header is None:
            return value
        return {"header": self._object(declared.type, header, 0), "body": value}

    def plain(self, element: Any, depth: int = 0) -> Any:
        """An element of which nothing is known."""
        self._spend(8, depth)
        attributes = {
            f"@{_local(name)}": value
            for name, value in element.attrib.items()
            if not name.startswith(f"{{{_XSI}}}")
        }
        children = list(element.iterchildren("*"))
        text = element.text or ""
        for name, value in attributes.items():
            self._spend(len(name) + len(value))
        if not children and not attributes:
            self._spend(len(text))
            return None if element.get(f"{{{_XSI}}}nil") in {"true", "1"} else text
        found: dict[str, Any] = dict(attributes)
        for child in children:
            self._add(found, _local(child.tag), self.plain(child, depth + 1), repeats=False)
        text = "".join([text, *(child.tail or "" for child in children)]) if children else text
        if text.strip():
            self._spend(len(text))
            found["#text"] = text
        return found

    def _body(self, expected: Any, roots: list[Any]) -> Any:
        if expected is None:
            return {_local(each.tag): self.plain(each) for each in roots} or None
        if expected.qname.localname == "Body" and isinstance(expected.type, xsd.ComplexType):
            parent = roots[0].getparent() if roots else None
            return self._object(expected.type, parent, 0) if parent is not None else None
        if not roots:
            return None
        value = self._value(expected.type, roots[0], 0)
        shape = self._shape(expected.type) if isinstance(expected.type, xsd.ComplexType) else None
        # Like zeep: an answer that wraps one thing is that thing.
        if shape and len(shape.elements) == 1 and not shape.attributes and isinstance(value, dict):
            (name,) = shape.elements
            if not value.keys() - {name}:
                return value.get(name)
        return value

    def _value(self, kind: Any, element: Any, depth: int) -> Any:
        self._spend(4, depth)
        reference = element.get("href")
        if reference and reference.startswith("#") and reference[1:] in self.targets and not len(element):
            return self._value(kind, self.targets[reference[1:]], depth + 1)
        if element.get(f"{{{_XSI}}}nil") in {"true", "1"}:
            return None
        kind = self._named(element, element.get(f"{{{_XSI}}}type")) or kind
        if isinstance(kind, xsd.ComplexType):
            return self._object(kind, element, depth)
        if scalars.is_simple(kind) and not len(element):
            self._spend(len(element.text or ""))
            return scalars.from_xml(kind, element.text)
        return self.plain(element, depth)

    def _object(self, kind: Any, element: Any, depth: int) -> Any:
        shape = self._shape(kind)
        if shape.is_array:
            item = self._named(element, element.get(_ARRAY_TYPE)) or shape.item
            return [self._value(item, child, depth + 1) for child in element.iterchildren("*")]
        found: dict[str, Any] = {}
        for name, (_, repeats) in shape.elements.items():
            if repeats:
                self._spend(len(name) + 6)
                found[name] = []
        for child in element.iterchildren("*"):
            name = _local(child.tag)
            inner, repeats = shape.elements.get(name, (None, False))
            value = (
                self._value(inner, child, depth + 1) if inner is not None else self.plain(child, depth + 1)
            )
            self._add(found, name, value, repeats=repeats)
        for qname, text in element.attrib.items():
            if qname in shape.attributes:
                name, inner = shape.attributes[qname]
                self._spend(len(name) + len(text))
                found[name] = scalars.from_xml(inner, text)
        if shape.text is not None:
            self._spend(len(element.text or ""))
            found[_TEXT] = scalars.from_xml(shape.text, element.text)
        return found

    def _add(self, found: dict[str, Any], name: str, value: Any, *, repeats: bool) -> None:
        self._spend(len(name) + 6)
        if repeats:
            found.setdefault(name, []).append(value)
        elif name in found:
            # More often than the description allows: nothing is thrown away.
            earlier = found[name]
            if isinstance(earlier, _Several):
                earlier.append(value)
            else:
                found[name] = _Several([earlier, value])
        else:
            found[name] = value

    def _named(self, element: Any, name: str | None) -> Any:
        """A type that the answer itself names, such as `xsd:string` or `ns:Item[2]`."""
        if not name:
            return None
        prefix, _, local = name.partition("[")[0].strip().rpartition(":")
        try:
            return self.types.get_type(
                etree.QName(element.nsmap.get(prefix or None), local), fail_silently=True
            )
        except (ZeepError, ValueError):
            return None

    def _shape(self, kind: Any) -> Shape:
        found = self.shapes.get(kind)
        if found is None:
            found = _shape(kind)
            self.effort -= len(found.elements) + len(found.attributes)
            if self.effort < 0:
                raise BadMarkupError("it uses too many large types")
            if len(self.shapes) < _MAX_SHAPES:
                self.shapes[kind] = found
        return found

    def _spend(self, characters: int, depth: int = 0) -> None:
        self.room -= characters
        if self.room < 0:
            raise TooLongError
        if depth > _MAX_DEPTH:
            raise BadMarkupError("it refers to itself, or is nested too deeply")


class _Several(list[Any]):
    """A list that came to be because a name stood there more than once."""


def _shape(kind: Any) -> Shape:
    elements: dict[str, tuple[Any, bool]] = {}
    text = None
    for part, repeats in _leaves(kind._element, repeats=False):  # noqa: SLF001 - zeep's flat list forgets what repeats
        name = part.qname.localname if part.qname is not None else part.name
        if name == _TEXT and scalars.is_simple(part.type):
            text = part.type
        elif name in elements:
            elements[name] = (elements[name][0], True)
        else:
            elements[name] = (part.type, repeats)
    attributes = {
        each.qname.text: (name, each.type) for name, each in kind.attributes if each.qname is not None
    }
    # Not zeep's own `_array_type`: it does not look into groups of attributes, where SOAP's general array has it.
    array = next((each for _, each in kind.attributes if each.qname == _ARRAY_TYPE), None)
    item = getattr(array, "array_type", None)
    return Shape(elements, attributes, text, array is not None, item)


def _leaves(part: Any, *, repeats: bool) -> Iterator[tuple[Any, bool]]:
    if part is None or isinstance(part, xsd.Any):
        return
    repeats = repeats or part.accepts_multiple
    if isinstance(part, xsd.Element):
        yield part, repeats
        return
    inner = part.child if isinstance(part, xsd.Group) else part
    if inner is not part:
        yield from _leaves(inner, repeats=repeats)
        return
    for each in part:
        yield from _leaves(each, repeats=repeats)


def _local(name: str) -> str:
    return name.rpartition("}")[2]
