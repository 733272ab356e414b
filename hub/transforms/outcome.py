"""How a run of steps ends: a new document, no document on purpose, or a step that cannot be applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hub.core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Transformed:
    """Every step was applied.

    Attributes:
        document: the result. It shares its unchanged parts with the input: treat both as immutable.
        headers: what the steps set on the outgoing request; None removes a header. Names are as last written;
            no two differ by upper and lower case alone.
    """

    document: Any
    headers: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A `cancel_if` step held: nothing is to be sent.

    Attributes:
        reason: a sentence for a person.
    """

    reason: str


class StepFailed(HubError):
    """A step cannot be applied to this document.

    Attributes:
        index: of the step in the list, from 0.
        step: its name, such as `cast`.
        message: why, without contents of the document.
    """

    status: ClassVar[int] = 422
    code: ClassVar[str] = "step_failed"
    title: ClassVar[str] = "A transformation step cannot be applied"

    def __init__(self, index: int, step: str, message: str) -> None:
        super().__init__(f"Step {index} ({step}) cannot be applied: {message}.")
        self.index = index
        self.step = step
        self.message = message
