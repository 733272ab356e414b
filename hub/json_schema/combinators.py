"""Keywords that apply other schemas to the same value (JSON Schema 2020-12 core, sections 8.2 and 10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.json_schema.place import Keyword, Node, Place
    from hub.json_schema.run import Check, Path, Run, Seen


def _schemas(value: Any, place: Place, keyword: str) -> list[Node] | None:
    if not isinstance(value, list) or not value:
        place.fault("must be a list of at least one schema", keyword)
        return None
    return [place.beside(one, keyword, index) for index, one in enumerate(value)]


def _reference(keyword: str) -> Keyword:
    def read(value: Any, place: Place) -> Check | None:
        if not isinstance(value, str):
            place.fault("must be a string", keyword)
            return None
        return place.referred(value, keyword)

    return read


def _all_of(value: Any, place: Place) -> Check | None:
    nodes = _schemas(value, place, "allOf")
    if nodes is None:
        return None

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        for node in nodes:
            node(value, path, run, seen)

    return check


def _any_of(value: Any, place: Place) -> Check | None:
    nodes = _schemas(value, place, "anyOf")
    if nodes is None:
        return None

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        fits = False
        for node in nodes:
            if run.matches(node, value, seen):
                fits = True
                if seen is None:
                    return
        if not fits:
            _tell_closest(nodes, value, path, run)

    return check


def _one_of(value: Any, place: Place) -> Check | None:
    nodes = _schemas(value, place, "oneOf")
    if nodes is None:
        return None

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        fitting = 0
        for node in nodes:
            if run.matches(node, value, seen):
                fitting += 1
                if fitting > 1:
                    run.fail(
                        path, f"must fit exactly one of the {len(nodes)} forms of `oneOf`, and fits more"
                    )
                    return
        if not fitting:
            _tell_closest(nodes, value, path, run)

    return check


def _tell_closest(nodes: list[Node], value: Any, path: Path, run: Run) -> None:
    """No alternative fits: when all but one are of another kind altogether, what that one lacks is the answer."""
    message = f"fits none of the {len(nodes)} allowed forms"
    if not run.probing:
        found = [run.collect(node, value, path) for node in nodes]
        near = [errors for errors in found if all(at is not path for at, _ in errors)]
        if len(near) == 1:
            for at, said in near[0]:
                run.fail(at, said)
            return
    run.fail(path, message)


def _not(value: Any, place: Place) -> Check:
    node = place.beside(value, "not")

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if run.matches(node, value, None):
            run.fail(path, "must not fit the schema under `not`")

    return check


def _if(value: Any, place: Place) -> Check:
    condition = place.beside(value, "if")
    branches = {
        fits: place.beside(place.schema[keyword], keyword)
        for fits, keyword in ((True, "then"), (False, "else"))
        if keyword in place.schema
    }

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        branch = branches.get(run.matches(condition, value, seen))
        if branch is not None:
            branch(value, path, run, seen)

    return check


def _lonely(keyword: str) -> Keyword:
    """`then` and `else` mean nothing without `if`, but must be schemas."""

    def read(value: Any, place: Place) -> None:
        if "if" not in place.schema:
            place.below(value, keyword)

    return read


def _dependent_schemas(value: Any, place: Place) -> Check | None:
    if not isinstance(value, dict):
        place.fault("must be an object of schemas", "dependentSchemas")
        return None
    nodes = {name: place.beside(one, "dependentSchemas", name) for name, one in value.items()}

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, dict):
            for name, node in nodes.items():
                if name in value:
                    node(value, path, run, seen)

    return check


COMBINATORS: dict[str, Keyword] = {
    "$ref": _reference("$ref"),
    # One document without embedded ones has one dynamic scope: both kinds of reference mean the same.
    "$dynamicRef": _reference("$dynamicRef"),
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "then": _lonely("then"),
    "else": _lonely("else"),
    "dependentSchemas": _dependent_schemas,
}
