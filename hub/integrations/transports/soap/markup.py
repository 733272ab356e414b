"""XML from outside, parsed without what makes XML dangerous.

Promises: a document type declaration is refused before the parser proper sees it (SOAP 1.1, 3 and SOAP 1.2, 5 forbid
them in messages, and entities need one); nothing is fetched and no XInclude is followed; size in elements and depth
are capped. Leaves to others: the cap in bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from xml.parsers import expat

from lxml import etree  # type: ignore[import-untyped]  # no stubs in the package

#: lxml's tree for the other modules of this package, so that its missing types are told once.
__all__ = ["BadMarkupError", "etree", "parse"]

#: Each costs some hundred bytes of memory.
MAX_MARKS = 400_000
MAX_DEPTH = 100
#: Before the first element there may be a declaration, comments and processing instructions.
_PROLOG_BYTES = 65_536


class BadMarkupError(Exception):
    """XML that is none, or that is refused. Its text says why, without repeating the XML."""


class _RootSeen(Exception):
    """The part of a document that could hold a document type declaration is over."""


def parse(content: bytes, *, strict: bool = True) -> Any:
    """The root element.

    Args:
        content: a document.
        strict: False repairs what it can.

    Raises:
        BadMarkupError: not XML, or refused.
    """
    # In UTF-16 the same bytes are there; text that is no markup may count as well.
    if content.count(b"<") > MAX_MARKS or content.count(b"=") > MAX_MARKS:
        raise BadMarkupError(f"it has more than {MAX_MARKS} tags or attributes")
    _refuse_declarations(content, strict=strict)
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        recover=not strict,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise BadMarkupError(f"it is not well-formed XML (line {error.lineno or 1})") from None
    except ValueError:
        raise BadMarkupError("it is not well-formed XML") from None
    if root is None:
        raise BadMarkupError("it is not well-formed XML")
    if root.getroottree().docinfo.doctype:
        raise BadMarkupError("it has a document type declaration (DTD), which is not allowed")
    if _is_too_deep()(root):
        raise BadMarkupError(f"it is nested deeper than {MAX_DEPTH} levels")
    return root


def _refuse_declarations(content: bytes, *, strict: bool) -> None:
    parser = expat.ParserCreate()

    def declared(*_: Any) -> None:
        raise BadMarkupError("it has a document type declaration (DTD), which is not allowed")

    def root(*_: Any) -> None:
        raise _RootSeen

    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = root
    try:
        parser.Parse(content[:_PROLOG_BYTES], len(content) <= _PROLOG_BYTES)
    except _RootSeen:
        return
    except (expat.ExpatError, LookupError, ValueError) as error:
        if strict:
            raise BadMarkupError("it is not well-formed XML") from error
        if b"<!" in content or b"<\0!" in content:
            raise BadMarkupError("it is not well-formed XML, and may have a DTD") from error
        return
    raise BadMarkupError("it does not begin with an element")


@lru_cache
def _is_too_deep() -> Any:
    return etree.XPath(f"boolean({'/*' * (MAX_DEPTH + 1)})")
