"""Definitions in files, as YAML or JSON: one, several between `---`, or a list under `integrations`. Pure.

Promises: what is read is plain data, never objects; a key that is there twice is refused; aliases cannot make a small
file large; every fault has its place. Scalars are those of YAML 1.2 (the core schema, yaml.org/spec/1.2.2, 10.3), so
`no`, `on` and `22:30` are texts and not what YAML 1.1 made of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from hub.core.errors import Malformed, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Place = tuple[int, int]

MAX_CHARACTERS = 4_194_304
_MAX_VALUES = 100_000
_MAX_DEPTH = 64
_TAG = "tag:yaml.org,2002:"
_INDEX = re.compile(r"\[(\d+)\]")

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # written in C where that is there
    """Makes nodes; the values are made here."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name


#: The scalars of YAML 1.2 by tag: how they look, and with which characters they begin.
SCALARS: tuple[tuple[str, re.Pattern[str], list[str]], ...] = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        list("-+0123456789."),
    ),
)
for _name, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a file.

    Args:
        value: as it stands there.
        source: the file.
        places: line and column, from 1, by the path of what is there; of JSON none are known.
    """

    value: dict[str, Any]
    source: str
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How it is called, as far as it says so."""
        name = self.value.get("name")
        return name if isinstance(name, str) else "a definition without a name"

    def where(self, path: str) -> str:
        """Where something of it stands: `crm.yaml:12:5`, or the file and the name.

        Args:
            path: dotted; of what is not there, the place of what it would stand in is told.
        """
        names = _INDEX.sub(r".\1", path).split(".") if path else []
        for length in range(len(names), -1, -1):
            place = self.places.get(".".join(names[:length]))
            if place is not None:
                return f"{self.source}:{place[0]}:{place[1]}"
        return f"{self.source} ({self.name})"


def read_definitions(text: str, source: str) -> list[Definition]:
    """Every definition of a file.

    Args:
        text: of the file.
        source: its name, for errors.

    Raises:
        Malformed: it cannot be read, or holds something else; the sentence begins with the place.
        TooLarge: it is too long, too deep, or grows too much.
    """
    if len(text) > MAX_CHARACTERS:
        raise TooLarge(f"{source} is longer than {MAX_CHARACTERS} characters.")
    found = []
    for value, places in _documents(text, source):
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            raise Malformed(f"{source} has a text that is not Unicode.") from None
        except ValueError:
            raise Malformed(f"{source} has a number that is too large.") from None
        found += _definitions(value, source, places)
    if not found:
        raise Malformed(f"{source} has no definition.")
    return found


def _documents(text: str, source: str) -> Iterator[tuple[Any, dict[str, Place]]]:
    """Each document of a file, with the places of its values."""
    is_json = source.endswith(".json")
    if is_json or text.lstrip()[:1] in {"{", "["}:
        try:
            yield _json(text, source), {}
        except json.JSONDecodeError as error:
            if is_json:
                raise Malformed(f"{source}:{error.lineno}:{error.colno}: {error.msg}.") from None
        else:
            return
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            reading = _Reading(source)
            yield reading.value(node, ""), reading.places
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "this is no YAML"
        raise Malformed(f"{source}:{_at(mark)}: {said}.") from None
    except yaml.YAMLError as error:
        raise Malformed(f"{source}: {str(error).splitlines()[0]}.") from None
    except RecursionError:
        raise TooLarge(f"{source} is nested deeper than {_MAX_DEPTH} levels.") from None


def _json(text: str, source: str) -> Any:
    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twin = next(name for name in names if names.count(name) > 1)
            raise Malformed(f"{source}: the key {twin} is there twice in one object.")
        return found

    def no_number(name: str) -> NoReturn:
        raise Malformed(f"{source}: {name} is no number of JSON.")

    try:
        return json.loads(text, object_pairs_hook=no_twins, parse_constant=no_number)
    except RecursionError:
        raise TooLarge(f"{source} is nested deeper than {_MAX_DEPTH} levels.") from None


class _Reading:
    """Makes values of the nodes of one document.

    Args:
        source: the file.

    Attributes:
        places: of every value, by path.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self._inside: list[int] = []
        self.places: dict[str, Place] = {}

    def value(self, node: Any, path: str) -> Any:
        """The value of a node, aliases written out."""
        self._count += 1
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if self._count > _MAX_VALUES:
            raise TooLarge(
                f"{self._source} has more than {_MAX_VALUES} values when its aliases are written out."
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._inside:
            self._fail(node, "an alias stands inside of what it stands for")
        if len(self._inside) >= _MAX_DEPTH:
            raise TooLarge(f"{self._source} is nested deeper than {_MAX_DEPTH} levels.")
        if node.tag not in {f"{_TAG}map", f"{_TAG}seq"}:
            self._fail(node, f"the tag {_tag(node)} means nothing here")
        self._inside.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            prefix = f"{path}." if path else ""
            return [self.value(one, f"{prefix}{index}") for index, one in enumerate(node.value)]
        finally:
            self._inside.pop()

    def _mapping(self, node: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, "a key must be a text")
            name = key.value
            if name in found:
                self._fail(key, f"the key {name} is there twice, first in line {lines[name]}")
            lines[name] = key.start_mark.line + 1
            found[name] = self.value(value, f"{path}.{name}" if path else name)
        return found

    def _scalar(self, node: Any) -> Any:
        text = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    return text
                case "null":
                    return None
                case "bool" if text.lower() in {"true", "false"}:
                    return text.lower() == "true"
                case "int":
                    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
                case "float" if text.lstrip("+-").lower() not in {".inf", ".nan"}:
                    return float(text)
                case "float":
                    self._fail(node, f"{text} is no number of JSON")
                case _:
                    self._fail(node, f"the tag {_tag(node)} means nothing here")
        except ValueError:
            self._fail(node, "this number cannot be read")

    def _fail(self, node: Any, text: str) -> NoReturn:
        raise Malformed(f"{self._source}:{_at(node.start_mark)}: {text}.")


def _definitions(value: Any, source: str, places: Mapping[str, Place]) -> list[Definition]:
    """The definitions of one document."""
    if value is None:
        return []
    if not isinstance(value, dict):
        raise Malformed(
            f"{_place(source, places, '')}: a document must be a definition, or have a list under `integrations`."
        )
    if "integrations" not in value:
        return [Definition(value, source, places)]
    several = value["integrations"]
    others = [name for name in value if name != "integrations"]
    if others:
        text = f"{others[0]} cannot stand beside `integrations`"
        raise Malformed(f"{_place(source, places, others[0])}: {text}.")
    if not isinstance(several, list):
        raise Malformed(f"{_place(source, places, 'integrations')}: must be a list of definitions.")
    found = []
    for index, one in enumerate(several):
        at = f"integrations.{index}"
        if not isinstance(one, dict):
            raise Malformed(f"{_place(source, places, at)}: must be a definition, an object.")
        own = {
            path.removeprefix(at).removeprefix("."): place
            for path, place in places.items()
            if path == at or path.startswith(f"{at}.")
        }
        found.append(Definition(one, source, own))
    return found


def _place(source: str, places: Mapping[str, Place], path: str) -> str:
    place = places.get(path)
    return source if place is None else f"{source}:{place[0]}:{place[1]}"


def _at(mark: Any) -> str:
    return "1:1" if mark is None else f"{mark.line + 1}:{mark.column + 1}"


def _tag(node: Any) -> str:
    return str(node.tag).replace(_TAG, "!!")
