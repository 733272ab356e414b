"""What each operator of a filter means for one value.

An operator is built once from its operand and gives a test. Promises: a test never raises and takes any JSON
value; another type than the operand's is no match; true and false are no numbers; integers and floats are
compared exactly, without rounding either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHOICES = 1000
MAX_PATTERN_CHARACTERS = 512

#: RE2 is linear in the text, but each character may cost as many steps as the pattern has instructions
#: (about 5 ns each); this bounds what one filter may cost. Ordinary patterns have below 60.
MAX_PROGRAM = 256

#: See `MAX_PROGRAM`: what one $regex condition reads of one document.
MAX_SEARCHED_CHARACTERS = 65_536


class BadOperandError(ValueError):
    """The operand does not fit its operator; says why, to be read after the place."""


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number; in Python true and false would be, too."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(found: Any, expected: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not; the order of keys has no meaning.

    Recurses no deeper than `expected`, whose depth was capped when it was read.
    """
    if expected is None or isinstance(expected, bool):
        return found is expected
    if isinstance(expected, str):
        return isinstance(found, str) and found == expected
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(same(a, b) for a, b in zip(found, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(same(found[key], value) for key, value in expected.items())
        )
    return is_number(found) and bool(found == expected)


def equal(operand: Any) -> Callable[[Any], bool]:
    """`$eq`, `$ne`: equal to the operand."""
    if isinstance(operand, str):
        return lambda value: value == operand
    return lambda value: same(value, operand)


def among(operand: Any) -> Callable[[Any], bool]:
    """`$in`, `$nin`: equal to one of the operand's values."""
    if not isinstance(operand, list):
        raise BadOperandError('must be a list of values, such as ["paid", "open"]')
    if not 1 <= len(operand) <= MAX_CHOICES:
        raise BadOperandError(f"must hold 1 to {MAX_CHOICES} values, not {len(operand)}")
    texts = frozenset(item for item in operand if isinstance(item, str))
    numbers = frozenset(item for item in operand if is_number(item))
    others = [item for item in operand if not isinstance(item, str) and not is_number(item)]

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return value in texts
        if is_number(value):
            return value in numbers
        return any(same(value, item) for item in others)

    return test


def greater(operand: Any) -> Callable[[Any], bool]:
    """`$gt`: a larger number, or text that is later in code-point order."""
    if _is_text(operand):
        return lambda value: isinstance(value, str) and value > operand
    return lambda value: is_number(value) and value > operand


def at_least(operand: Any) -> Callable[[Any], bool]:
    """`$gte`."""
    if _is_text(operand):
        return lambda value: isinstance(value, str) and value >= operand
    return lambda value: is_number(value) and value >= operand


def less(operand: Any) -> Callable[[Any], bool]:
    """`$lt`."""
    if _is_text(operand):
        return lambda value: isinstance(value, str) and value < operand
    return lambda value: is_number(value) and value < operand


def at_most(operand: Any) -> Callable[[Any], bool]:
    """`$lte`."""
    if _is_text(operand):
        return lambda value: isinstance(value, str) and value <= operand
    return lambda value: is_number(value) and value <= operand


def starts(operand: Any) -> Callable[[Any], bool]:
    """`$startsWith`: text that begins with the operand."""
    text = _text(operand)
    return lambda value: isinstance(value, str) and value.startswith(text)


def ends(operand: Any) -> Callable[[Any], bool]:
    """`$endsWith`: text that ends with the operand."""
    text = _text(operand)
    return lambda value: isinstance(value, str) and value.endswith(text)


def contains(operand: Any) -> Callable[[Any], bool]:
    """`$contains`: text that contains the operand.

    An operand that is no text is compared as `$eq` does, which says something about arrays alone: they hold it.
    """
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and operand in value
    return lambda value: same(value, operand)


def present(operand: Any) -> Callable[[Any], bool]:
    """`$exists`: anything, null as well."""
    if not isinstance(operand, bool):
        raise BadOperandError("must be true or false")
    return lambda _value: True


def compile_pattern(operand: Any) -> re2._Regexp:
    """`$regex`: a pattern of RE2 (no back-references, no look-around) that is found anywhere in the text.

    Source of the syntax: https://github.com/google/re2/wiki/Syntax

    Raises:
        BadOperandError: it is none, or it is too large.
    """
    pattern = _text(operand)
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise BadOperandError(f"is a pattern of over {MAX_PATTERN_CHARACTERS} characters")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 1 << 20
    try:
        compiled = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise BadOperandError("contains half of a surrogate pair") from None
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise BadOperandError(
            f"is not a pattern of RE2, which has no look-around and no back-references: {text}"
        ) from None
    if max(compiled.programsize, compiled.reverseprogramsize) > MAX_PROGRAM:
        raise BadOperandError("is a pattern that expands too far; use smaller counts in {…}")
    return compiled


def _is_text(operand: Any) -> bool:
    """Whether an ordering is that of text; it is of numbers otherwise."""
    if isinstance(operand, str):
        return True
    if is_number(operand):
        return False
    raise BadOperandError("must be a number or text")


def _text(operand: Any) -> str:
    if not isinstance(operand, str):
        raise BadOperandError("must be text")
    return operand
