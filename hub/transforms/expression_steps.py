"""Steps that are expressions of a language: `{"jmespath": "…"}`, `{"jsonata": "…"}`.

The expression's result becomes the document. Expressions are neither read nor evaluated in this process, only in
`hub.transforms.sandbox`: some of fewer than 100 characters never end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.transforms.running import CannotApplyError
from hub.transforms.sandbox import ExpressionFailed

if TYPE_CHECKING:
    from hub.transforms.running import Run
    from hub.transforms.sandbox import Language
    from hub.transforms.specs import Reading

MAX_CHARACTERS = 8192


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression.

    Attributes:
        at: its place, for faults that only the sandbox can find.
    """

    language: Language
    text: str
    at: str

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        if run.sandbox is None:
            raise CannotApplyError("expressions cannot be evaluated here")
        try:
            result = run.sandbox.evaluate(self.language, self.text, document)
        except ExpressionFailed as error:
            raise CannotApplyError(f"the expression: {error.message}") from None
        if result is None:
            raise CannotApplyError("the expression gives nothing for this document")
        return result


def read_expression(language: Language, spec: Any, at: str, faults: Reading) -> Expression | None:
    """From JSON; whether the expression can be read is for `Pipeline.check_expressions`."""
    if not isinstance(spec, str) or not spec.strip():
        faults.add(at, f"must be text, an expression of {language}")
        return None
    if len(spec) > MAX_CHARACTERS:
        faults.add(at, f"is over {MAX_CHARACTERS} characters")
        return None
    return Expression(language, spec, at)
