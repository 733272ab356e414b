"""How large the parts of a schema become once their references are filled in.

Groups that hold groups grow by the power of their depth while the text grows by a line ("billion laughs" without an
entity), and every value of a wide type costs its width. Both are measured on the text, in time that follows its length.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.soap.known import XSD
from hub.integrations.transports.soap.markup import BadMarkupError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Elements and attributes of one type, groups and base types filled in.
MAX_WIDTH = 5_000
#: Of all references together.
MAX_TOTAL = 1_000_000

_PARTS = {f"{{{XSD}}}{name}" for name in ("element", "attribute", "any", "anyAttribute")}
_NAMED = {
    f"{{{XSD}}}group": "group",
    f"{{{XSD}}}attributeGroup": "attributeGroup",
    f"{{{XSD}}}complexType": "complexType",
}
_DERIVED = {f"{{{XSD}}}extension", f"{{{XSD}}}restriction"}
_Key = tuple[str, str]


def check(roots: Iterable[Any]) -> None:
    """Judge the schemas of one description together.

    Args:
        roots: their documents.

    Raises:
        BadMarkupError: a part is too large, or contains itself.
    """
    own: dict[_Key, int] = defaultdict(int)
    references: dict[_Key, list[_Key]] = defaultdict(list)
    uses: list[_Key] = []
    # Names are taken without their namespace: at worst, things of one name count together.
    for root in roots:
        for node in root.iter(*_NAMED):
            kind, name = _NAMED[node.tag], node.get("name")
            if name is None:
                if node.get("ref"):
                    uses.append((kind, _local(node.get("ref"))))
                continue
            key = (kind, name)
            for inner in node.iterdescendants():
                if inner.tag in _PARTS:
                    own[key] += 1
                elif inner.tag in _NAMED and inner.get("ref"):
                    references[key].append((_NAMED[inner.tag], _local(inner.get("ref"))))
                elif inner.tag in _DERIVED and inner.get("base"):
                    references[key].append(("complexType", _local(inner.get("base"))))
    sizes = _sizes(own, references)
    if sum(sizes.get(key, 0) for key in uses) > MAX_TOTAL:
        raise BadMarkupError(f"its groups become more than {MAX_TOTAL} parts")


def _sizes(own: dict[_Key, int], references: dict[_Key, list[_Key]]) -> dict[_Key, int]:
    """The whole size of each part; depth first, without recursion."""
    sizes: dict[_Key, int] = {}
    for start in [*references, *own]:
        waiting = [start]
        open_: set[_Key] = set()
        while waiting:
            key = waiting[-1]
            if key in sizes:
                waiting.pop()
                continue
            # A type may extend one of the same name in another namespace; a group that contains itself has no end.
            inner = [
                each for each in references.get(key, ()) if each[0] != "complexType" or each not in open_
            ]
            if key not in open_:
                open_.add(key)
                missing = [
                    each for each in inner if each not in sizes and (each in own or each in references)
                ]
                if any(each in open_ and each[0] != "complexType" for each in missing):
                    raise BadMarkupError(f"the {key[0]} {key[1][:100]} contains itself")
                waiting += [each for each in missing if each not in open_]
                continue
            waiting.pop()
            open_.discard(key)
            sizes[key] = own.get(key, 0) + sum(sizes.get(each, 0) for each in inner)
            if sizes[key] > MAX_WIDTH:
                raise BadMarkupError(
                    f"the {key[0]} {key[1][:100]} becomes more than {MAX_WIDTH} elements and attributes"
                )
    return sizes


def _local(name: str) -> str:
    return name.rpartition(":")[2]
