"""Fields that must not be kept: paths in inputs and answers whose values are masked before they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hub.core.errors import FieldError, Invalid
from hub.transforms.editing import change
from hub.transforms.paths import BadPathError, Path, parse_path

MASK = "***"
_ROOTS = ("input", "data")


@dataclass(frozen=True, slots=True)
class Masks:
    """Paths that were read.

    Attributes:
        input: those in inputs.
        data: those in answers.
    """

    input: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.input or self.data)


def compile_masks(specs: Any, *, field: str = "redact") -> Masks:
    """Read paths such as `input.body.card` and `data.items.iban`.

    Raises:
        Invalid: with one field for every fault.
    """
    faults: list[FieldError] = []
    found: dict[str, list[Path]] = {root: [] for root in _ROOTS}
    for index, spec in enumerate(specs if isinstance(specs, list) else []):
        try:
            path = parse_path(spec)
        except BadPathError as error:
            faults.append(FieldError(f"{field}[{index}]", str(error)))
            continue
        root = path.names[0]
        if root not in _ROOTS or len(path.names) < 2:
            text = "must begin with `input.` or `data.`, such as data.customer.iban"
            faults.append(FieldError(f"{field}[{index}]", text))
            continue
        found[root].append(Path(path.text, path.names[1:], path.indexes[1:]))
    if faults:
        raise Invalid.of(faults)
    return Masks(tuple(found["input"]), tuple(found["data"]))


def is_masked(document: Any) -> bool:
    """Was something taken out of a document that was stored?"""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if node == MASK:
            return True
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return False


def mask(document: Any, paths: tuple[Path, ...]) -> Any:
    """A copy with `***` for every value at the paths."""
    for path in paths:
        document = change(document, path, lambda _: MASK)
    return document
