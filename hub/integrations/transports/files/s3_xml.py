"""The few facts of S3's answers that matter, read from XML without its dangers: a document type ends the reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

MAX_DEPTH = 20


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
        NotXml: it is none, has a document type, or is nested too deeply.
    """
    root = Element("")
    stack = [root]

    def start(name: str, _: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise NotXml
        element = Element(name.rpartition(" ")[2])
        stack[-1].children.append(element)
        stack.append(element)

    def refuse(*_: Any) -> None:
        raise NotXml

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = lambda text: setattr(stack[-1], "text", stack[-1].text + text)
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise NotXml from None
    return root.children[0]
