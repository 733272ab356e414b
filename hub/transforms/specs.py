"""Reading what steps are given: lists of paths, and objects whose keys are paths."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hub.transforms.faults import Faults, shown
from hub.transforms.paths import BadPathError, Path, parse_path

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_PATHS = 100


class Reading(Faults):
    """The faults of a list of steps, and how much was read of it.

    Attributes:
        steps: how many, those inside of `map` included.
        paths: how many. Each may cost a copy of the object or array that it changes something in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.paths = 0


def read_path(spec: Any, at: str, faults: Reading) -> Path | None:
    """A path; None when it is at fault."""
    faults.paths += 1
    try:
        return parse_path(spec)
    except BadPathError as error:
        faults.add(at, str(error))
        return None


def read_paths(spec: Any, at: str, faults: Reading) -> tuple[Path, ...]:
    """A list of one or more paths."""
    if not isinstance(spec, list) or not 1 <= len(spec) <= MAX_PATHS:
        faults.add(at, f'must be a list of 1 to {MAX_PATHS} paths, such as ["data.id"]')
        return ()
    found = [read_path(item, f"{at}[{index}]", faults) for index, item in enumerate(spec)]
    return tuple(path for path in found if path is not None)


def read_assignments(spec: Any, at: str, faults: Reading, example: str) -> list[tuple[Path, Any, str]]:
    """An object of one or more paths: the path, what stands for it, and its place."""
    if not isinstance(spec, dict) or not 1 <= len(spec) <= MAX_PATHS:
        faults.add(at, f"must be an object of 1 to {MAX_PATHS} paths, such as {example}")
        return []
    found = [
        (read_path(key, f"{at}.{shown(key)}", faults), value, f"{at}.{shown(key)}")
        for key, value in spec.items()
    ]
    return [(path, value, place) for path, value, place in found if path is not None]


def check_apart(paths: Collection[Path], at: str, faults: Reading) -> None:
    """Refuse targets of which one lies in another: the order of an object's keys would decide the result."""
    ordered = sorted(path.names for path in paths)
    for first, second in itertools.pairwise(ordered):
        if second[: len(first)] == first:
            faults.add(
                at,
                f"has `{shown('.'.join(first))}` and `{shown('.'.join(second))}`, one in the other; use two steps",
            )
            return


def read_options(
    spec: Any, at: str, faults: Reading, *, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any] | None:
    """An object with fixed keys; None when a key is missing or unknown."""
    if not isinstance(spec, dict):
        faults.add(at, f"must be an object with {', '.join(f'`{key}`' for key in required)}")
        return None
    missing = [key for key in required if key not in spec]
    unknown = [key for key in spec if key not in required and key not in optional]
    for key in missing:
        faults.add(f"{at}.{key}", "is missing")
    for key in unknown:
        known = ", ".join(f"`{name}`" for name in (*required, *optional))
        faults.add(f"{at}.{shown(key)}", f"is unknown here; known are {known}")
    return None if missing or unknown else spec
