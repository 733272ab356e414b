"""What is wrong with a filter or a step as it was written: every fault with its exact place, then one error.

Promises: places read like the input (`filter.$and[1].data.amount.$gt`), long or odd keys are cut and escaped.
"""

from __future__ import annotations

from hub.core.errors import FieldError, Invalid

MAX_FAULTS = 20
_SHOWN_CHARACTERS = 80


def shown(text: str) -> str:
    """A piece of input that is safe in a sentence: printable ASCII, at most 80 characters."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    return cut if cut.isprintable() else ascii(cut)[1:-1]


class Faults:
    """Collects faults while a spec is read; reading goes on after the first one."""

    def __init__(self) -> None:
        self._found: list[FieldError] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, at: str, message: str) -> None:
        """Note one fault; after 20 the rest is left out.

        Args:
            at: the place.
            message: what is wrong and how to mend it, to be read after the place.
        """
        if len(self._found) < MAX_FAULTS:
            self._found.append(FieldError(at, message))

    def raise_if_any(self) -> None:
        """End the reading.

        Raises:
            Invalid: there is a fault; carries all of them.
        """
        if self._found:
            raise Invalid(
                "; ".join(f"{fault.path} {fault.message}" for fault in self._found) + ".",
                fields=tuple(self._found),
            )
