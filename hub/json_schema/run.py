"""One check of one document: what it may still cost, and what it found.

A schema of three hundred bytes can ask for 2^40 evaluations (`allOf` with two `$ref`s, forty times over). So every
evaluation is paid for, and a check whose budget is spent ends with one error instead of holding its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    #: A place in the document: the place around it and a property or index; None is the document itself.
    Path = tuple["Path", str | int] | None
    #: What is known to be evaluated at a place: property names or indexes; None when nobody asks.
    Seen = set[str | int] | None
    #: One keyword at work.
    Check = Callable[[Any, Path, "Run", Seen], None]

#: Errors that one check tells.
MAX_ERRORS = 20
#: Steps of one check: about a fifth of a second in all.
MAX_STEPS = 200_000
_MAX_SEGMENT = 64
_MAX_PATH = 256


class Mismatch(Exception):
    """A probe failed."""


class Enough(Exception):
    """As many errors were found as are told."""


class TooMuchWork(Exception):
    """The budget is spent."""


class Run:
    """The state of one check.

    Args:
        steps: its budget.
        probing: the first failure ends it with `Mismatch`, and nothing is noted.
    """

    __slots__ = ("errors", "probing", "steps")

    def __init__(self, steps: int = MAX_STEPS, *, probing: bool = False) -> None:
        self.steps = steps
        self.probing = probing
        self.errors: list[tuple[Path, str]] = []

    def spend(self, steps: int) -> None:
        """Pay for work.

        Raises:
            TooMuchWork: the budget is spent.
        """
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchWork

    def fail(self, path: Path, message: str) -> None:
        """Note an error.

        Raises:
            Mismatch: in a probe.
            Enough: there are enough of them.
        """
        if self.probing:
            raise Mismatch
        self.errors.append((path, message))
        if len(self.errors) >= MAX_ERRORS:
            raise Enough

    def matches(self, check: Check, value: Any, seen: Seen) -> bool:
        """Does a value fit? Nothing is noted; what was evaluated is added to `seen` only when it does."""
        mine: Seen = None if seen is None else set()
        before, self.probing = self.probing, True
        try:
            check(value, None, self, mine)
        except Mismatch:
            return False
        finally:
            self.probing = before
        if seen is not None and mine:
            seen |= mine
        return True

    def collect(self, check: Check, value: Any, path: Path) -> list[tuple[Path, str]]:
        """The errors of one alternative, which are not yet errors of the document."""
        kept, self.errors = self.errors, []
        try:
            check(value, path, self, None)
        except Enough:
            pass
        finally:
            found, self.errors = self.errors, kept
        return found


def dotted(root: str, path: Path) -> str:
    """A place as people read it: `data.lines.3.sku`. Long names, which the sender chose, are cut."""
    text = ".".join([root, *(_cut(str(segment), _MAX_SEGMENT) for segment in _segments(path))])
    return _cut(text, _MAX_PATH)


def told(run: Run, root: str) -> list[FieldError]:
    """The errors of a check."""
    return [FieldError(dotted(root, path), message) for path, message in run.errors]


def _segments(path: Path) -> Iterator[str | int]:
    found: list[str | int] = []
    while path is not None:
        path, segment = path
        found.append(segment)
    return reversed(found)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
