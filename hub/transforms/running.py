"""What steps share while they run: the headers so far, the room for growth, the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hub.transforms.measure import MAX_DEPTH, OverCapError, measure

if TYPE_CHECKING:
    from hub.transforms.sandbox import Sandbox


class CannotApplyError(Exception):
    """The step does not fit the document; the text says why, without contents of the document."""


class CancelError(Exception):
    """The document is not to be sent."""


class Run:
    """One run of a pipeline over one document.

    Args:
        sandbox: for expression steps; None where there is none.
        max_bytes: cap of the result, and of all that the steps add to the document together.

    Attributes:
        headers: lower-case name → (name, value or None for "remove").
    """

    def __init__(self, sandbox: Sandbox | None, max_bytes: int) -> None:
        self.sandbox = sandbox
        self.max_bytes = max_bytes
        self.headers: dict[str, tuple[str, str | None]] = {}
        self._room = max_bytes

    def grow(self, value: Any) -> None:
        """Account for a value that a step adds once more to the document.

        Raises:
            CannotApplyError: the room is used up.
        """
        try:
            self.spend(measure(value, max_bytes=self._room))
        except OverCapError:
            raise self._too_large() from None

    def spend(self, size: int) -> None:
        """Account for bytes that a step adds to the document.

        Raises:
            CannotApplyError: the room is used up.
        """
        self._room -= size
        if self._room < 0:
            raise self._too_large()

    def _too_large(self) -> CannotApplyError:
        return CannotApplyError(
            f"the steps would add over {self.max_bytes} bytes, or something nested deeper than {MAX_DEPTH} levels"
        )


class Step(Protocol):
    """A step that was read; immutable."""

    def apply(self, document: Any, run: Run) -> Any:
        """The changed copy of a document.

        Raises:
            CannotApplyError: the step does not fit the document.
            CancelError: the document is not to be sent.
        """
        ...
