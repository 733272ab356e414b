"""Text with places to fill in: `Order {{ data.id }} of {{ data.customer.name }}`. No logic, no escapes.

Promises: a template is read once, in time linear in its length; filling it in is linear in what it yields.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.transforms.paths import MISSING, BadPathError, ManyPlacesError, Path, parse_path

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHARACTERS = 8192
MAX_PLACES = 100


class BadTemplateError(ValueError):
    """The text is no template; says why, to be read after the place."""


class NotFilledError(Exception):
    """A document has no single value for a place of the template; the text says which."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read: texts and paths in turn."""

    parts: tuple[str | Path, ...]

    def text(self, document: Any, grow: Callable[[Any], None]) -> str:
        """Fill in. Null yields nothing, true and false their names, arrays and objects compact JSON.

        Args:
            document: where the paths are looked up.
            grow: is told each value before it is written; may refuse it by raising.

        Raises:
            NotFilledError: a place has no value, or several.
        """
        return "".join(
            part if isinstance(part, str) else _written(_one(part, document), grow) for part in self.parts
        )

    def value(self, document: Any, grow: Callable[[Any], None]) -> Any:
        """As `text`, but a template of one place alone yields the value there, whatever its type."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Path):
            value = _one(self.parts[0], document)
            grow(value)
            return value
        return self.text(document, grow)


def parse_template(text: Any) -> Template:
    """Read a template.

    Raises:
        BadTemplateError: it is none.
    """
    if not isinstance(text, str):
        raise BadTemplateError('must be text such as "Order {{ data.id }}"')
    if len(text) > MAX_CHARACTERS:
        raise BadTemplateError(f"is a template of over {MAX_CHARACTERS} characters")
    parts: list[str | Path] = []
    before, *rest = text.split("{{")
    if before:
        parts.append(before)
    for piece in rest:
        inside, closed, after = piece.partition("}}")
        if not closed:
            raise BadTemplateError("has `{{` without `}}`")
        try:
            parts.append(parse_path(inside.strip()))
        except BadPathError as error:
            raise BadTemplateError(f"has a place whose path {error}") from None
        if after:
            parts.append(after)
    if len(rest) > MAX_PLACES:
        raise BadTemplateError(f"has over {MAX_PLACES} places")
    return Template(tuple(parts))


def _one(path: Path, document: Any) -> Any:
    try:
        value = path.one(document)
    except ManyPlacesError:
        raise NotFilledError(
            f"`{path.text}` goes into every element of an array; name one by its position, or use `map`"
        ) from None
    if value is MISSING:
        raise NotFilledError(
            f"nothing is at `{path.text}`; a `default` step before this one can put it there"
        )
    return value


def _written(value: Any, grow: Callable[[Any], None]) -> str:
    if value is None:
        return ""
    grow(value)
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except ValueError:  # Python's cap against numbers of unbounded length
        raise NotFilledError("a number there has too many digits to be written") from None
