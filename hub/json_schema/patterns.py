"""Regular expressions of schemas, run by RE2: linear in the text, whatever the expression.

Python's `re` backtracks: `(a+)+$` against forty letters would hold a process for hours. RE2 knows no
back-references and no look-around; a pattern that needs them is refused when the schema is saved.
https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2

from hub.core.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

#: Characters of one pattern.
MAX_PATTERN = 1000
#: Bytes that RE2 may use for one pattern: bounds what `{n,m}` may expand to.
_MAX_MEMORY = 1 << 20
#: Instructions of the program times characters of the text that cost one step of a check.
_PER_STEP = 500


class Pattern:
    """One compiled pattern, searched for anywhere in a text (JSON Schema validation, section 6.3.3).

    Attributes:
        text: as it was written.
        size: instructions of its program; a thousand take about a millisecond to make.
    """

    __slots__ = ("_search", "size", "text")

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEMORY
        compiled = re2.compile(text, options)
        self.text = text
        self._search: Callable[[bytes], Any] = compiled.search
        self.size: int = compiled.programsize

    def found_in(self, text: str) -> bool:
        """Does the pattern match anywhere in the text?"""
        # Half of a surrogate pair has no UTF-8 and matches nothing but `.`; it must not be a fault.
        return self._search(text.encode(errors="replace")) is not None

    def cost(self, text: str) -> int:
        """Steps of a check that looking for it in this text may take."""
        return 1 + len(text) * self.size // _PER_STEP


@lru_cache(maxsize=1024)
def compile_pattern(text: str) -> Pattern:
    """Compile a pattern; the last 1,024 are kept.

    Raises:
        Invalid: RE2 does not know it, or it is too long or too large; the sentence has no place in it.
    """
    if len(text) > MAX_PATTERN:
        raise Invalid(f"is over {MAX_PATTERN} characters")
    try:
        return Pattern(text)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0] if isinstance(error, re2.error) else "not Unicode text"
        reason = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise Invalid(
            f"is not a pattern that RE2 knows ({reason}); look-around and back-references are not supported"
        ) from None
