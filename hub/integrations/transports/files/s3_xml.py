"""The few facts of S3's answers that matter, read from XML without its dangers: a document type ends the reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

MAX_DEPTH = 20
#: A page of a listing has about 14,000: a thousand entries with their facts.
MAX_ELEMENTS = 30_000


class NotXml(Exception):
    """It cannot be read."""


@dataclass(slots=True)
class Element:
    """One element, without namespace.

    Args:
        name: of the element.
        text: directly in it.
        children: in their order.
    """

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> str:
        """The text of a child; empty when there is none."""
        return next((one.text for one in self.children if one.name == name), "")


def parse(document: bytes) -> Element:
    """Read a document.

    Raises:
        NotXml: it is none, has a document type, too many elements, or is nested too deeply.
    """
    root = Element("")
    stack = [root]
    # Joined at the end of their element: a text grows with every element inside it.
    texts: list[list[str]] = [[]]
    count = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > MAX_DEPTH or count > MAX_ELEMENTS:
            raise NotXml
        element = Element(name.rpartition(" ")[2])
        stack[-1].children.append(element)
        stack.append(element)
        texts.append([])

    def end(_: str) -> None:
        stack.pop().text = "".join(texts.pop())

    def characters(text: str) -> None:
        texts[-1].append(text)

    def refuse(*_: Any) -> None:
        raise NotXml

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise NotXml from None
    return root.children[0]
