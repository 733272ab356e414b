"""Steps that change the shape of a document: pick, omit, rename, nest, set, default, flatten.

Each is read from JSON by its `read` and is total: it ends, and fails only with CannotApplyError.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from hub.transforms.editing import BlockedError, Tree, change, drop, join_paths, keep, kind, put
from hub.transforms.faults import shown
from hub.transforms.paths import MISSING, ManyPlacesError, Path
from hub.transforms.running import CannotApplyError
from hub.transforms.specs import check_apart, read_assignments, read_options, read_path, read_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.transforms.running import Run
    from hub.transforms.specs import Reading


def put_at(document: Any, path: Path, new: Callable[[Any], Any]) -> Any:
    """As `editing.put`, with the path in the error.

    Raises:
        CannotApplyError: something on the way is no object.
    """
    try:
        return put(document, path, new)
    except BlockedError as error:
        raise CannotApplyError(f"`{shown(path.text)}` cannot be put there: {error}") from None


@dataclass(frozen=True, slots=True)
class _Paths:
    """Places in a document, as one tree."""

    tree: Tree

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        return cls(join_paths(read_paths(spec, at, faults)))


class Pick(_Paths):
    """`{"pick": ["data.id", "data.items.price"]}`: only what is at these paths, in its old places."""

    __slots__ = ()

    def apply(self, document: Any, _run: Run) -> Any:
        """See `Step`."""
        if not isinstance(document, dict | list):
            raise CannotApplyError(f"the document is {kind(document)}, which has nothing to pick from")
        return keep(document, self.tree)


class Omit(_Paths):
    """`{"omit": ["data.card", "data.items.cost"]}`: all but what is at these paths."""

    __slots__ = ()

    def apply(self, document: Any, _run: Run) -> Any:
        """See `Step`."""
        return drop(document, self.tree)


@dataclass(frozen=True, slots=True)
class Rename:
    """`{"rename": {"data.cust": "data.customer"}}`: move values; what is not there is passed over.

    All values are taken first and then put, so two names can be exchanged. Paths name one place; elements of
    arrays are renamed in with `map`.
    """

    moves: tuple[tuple[Path, Path], ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        moves = []
        for source, target_spec, place in read_assignments(spec, at, faults, '{"data.old": "data.new"}'):
            target = read_path(target_spec, place, faults)
            if target is not None:
                moves.append((source, target))
        check_apart([source for source, _ in moves], at, faults)
        check_apart([target for _, target in moves], at, faults)
        return cls(tuple(moves))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        taken = [(target, source, _take(document, source)) for source, target in self.moves]
        document = drop(document, join_paths(source for _, source, value in taken if value is not MISSING))
        for target, _, value in taken:
            if value is not MISSING:
                document = put_at(document, target, _moved(value, run))
        return document


@dataclass(frozen=True, slots=True)
class Nest:
    """`{"nest": {"data.address": ["data.street", "data.city"]}}`: gather values in an object.

    They keep their last names; what is not there is passed over.
    """

    rename: Rename

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        moves = []
        example = '{"data.address": ["data.street", "data.city"]}'
        for target, sources, place in read_assignments(spec, at, faults, example):
            for source in read_paths(sources, place, faults):
                inside = Path(
                    f"{target.text}.{source.text.rsplit('.', 1)[-1]}",
                    (*target.names, source.names[-1]),
                    (*target.indexes, source.indexes[-1]),
                )
                moves.append((source, inside))
        check_apart([source for source, _ in moves], at, faults)
        check_apart([target for _, target in moves], at, faults)
        return cls(Rename(tuple(moves)))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        return self.rename.apply(document, run)


@dataclass(frozen=True, slots=True)
class _Constants:
    """Values by the places where they are put."""

    values: tuple[tuple[Path, Any], ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        found = read_assignments(spec, at, faults, '{"data.source": "shop"}')
        check_apart([path for path, _, _ in found], at, faults)
        return cls(tuple((path, value) for path, value, _ in found))


class Set(_Constants):
    """`{"set": {"data.source": "shop"}}`: put constants; objects on the way are made."""

    __slots__ = ()

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        for path, value in self.values:
            document = put_at(document, path, _growing(value, run))
        return document


class Default(_Constants):
    """`{"default": {"data.currency": "EUR"}}`: put constants where nothing or null is."""

    __slots__ = ()

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        for path, value in self.values:
            document = put_at(document, path, _where_nothing_is(_growing(value, run)))
        return document


@dataclass(frozen=True, slots=True)
class Flatten:
    """`{"flatten": {"path": "data", "separator": "_"}}`: objects in the object become keys of it.

    `{"a": {"b": 1}}` becomes `{"a_b": 1}`. Arrays and empty objects stay as they are. Without `path` the whole
    document; the separator is `_` when it is not given.
    """

    path: Path | None
    separator: str

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        options = read_options(spec, at, faults, required=(), optional=("path", "separator")) or {}
        path = read_path(options["path"], f"{at}.path", faults) if "path" in options else None
        separator = options.get("separator", "_")
        if not isinstance(separator, str) or not 1 <= len(separator) <= 8:
            faults.add(f"{at}.separator", "must be text of 1 to 8 characters")
            separator = "_"
        return cls(path, separator)

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        if self.path is None:
            return self._flat(document, run)
        return change(document, self.path, lambda value: self._flat(value, run))

    def _flat(self, value: Any, run: Run) -> Any:
        if not isinstance(value, dict):
            raise CannotApplyError(f"{kind(value)} cannot be flattened, only an object")
        flat: dict[str, Any] = {}
        waiting = list(reversed(value.items()))
        while waiting:
            name, item = waiting.pop()
            if isinstance(item, dict) and item:
                run.spend(len(item) * (len(name) + len(self.separator)))
                waiting.extend((f"{name}{self.separator}{key}", item[key]) for key in reversed(item))
            elif name in flat:
                raise CannotApplyError(f"two values would be named `{shown(name)}`; use another separator")
            else:
                flat[name] = item
        return flat


def _growing(value: Any, run: Run) -> Callable[[Any], Any]:
    """Gives a copy of its own for each place, so that changes of a result reach neither another nor the step."""

    def fresh(_old: Any) -> Any:
        run.grow(value)
        return copy.deepcopy(value)

    return fresh


def _where_nothing_is(new: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda old: new(old) if old is MISSING or old is None else old


def _moved(value: Any, run: Run) -> Callable[[Any], Any]:
    """Gives the value itself; only where it comes to stand in several places does the document grow."""
    places = 0

    def move(_old: Any) -> Any:
        nonlocal places
        places += 1
        if places > 1:
            run.grow(value)
        return value

    return move


def _take(document: Any, path: Path) -> Any:
    try:
        return path.one(document)
    except ManyPlacesError:
        raise CannotApplyError(
            f"`{shown(path.text)}` goes into every element of an array; use `map` for its elements"
        ) from None
