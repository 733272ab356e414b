"""What a variable may hold: small trees that outlive the document and the schema that they were read from.

The rules are those of input coercion (GraphQL specification of October 2021, 3.5 to 3.12). Scalars that a service
defines are its own business, so any value passes for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping

_INT_BITS = 31
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar; only the five of the specification are checked."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An enum."""

    name: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; a single value stands for a list of one."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Required:
    """Not null."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Member:
    """A field of an input object."""

    shape: Shape
    has_default: bool


@dataclass(slots=True)
class Fields:
    """An input object. `members` is filled after it was made: input types may contain themselves."""

    name: str
    one_of: bool = False
    members: dict[str, Member] = field(default_factory=dict, repr=False)


Shape = Scalar | Choice | ListOf | Required | Fields


@dataclass(frozen=True, slots=True)
class Variable:
    """What a document declares."""

    shape: Shape
    has_default: bool

    @property
    def may_be_missing(self) -> bool:
        """A value is not needed."""
        return self.has_default or not isinstance(self.shape, Required)


def variable_faults(
    declared: Mapping[str, Variable], given: Mapping[str, Any], at: str, *, complete: bool = True
) -> list[FieldError]:
    """What is wrong with the values of variables.

    Args:
        declared: by name, without the dollar sign.
        given: the values.
        at: where they stand.
        complete: False for defaults, to which an input adds.
    """
    choice = ", ".join(sorted(declared)[:_SHOWN]) or "none"
    faults = [
        FieldError(f"{at}.{name}", f"the document declares no such variable; it declares {choice}")
        for name in given
        if name not in declared
    ]
    for name, variable in declared.items():
        if name in given:
            faults += _faults(variable.shape, given[name], f"{at}.{name}")
        elif complete and not variable.may_be_missing:
            faults.append(FieldError(f"{at}.{name}", f"is required: {described(variable.shape)}"))
    return faults


def described(shape: Shape) -> str:
    """In GraphQL's own writing, such as `[ID!]!`."""
    if isinstance(shape, Required):
        return f"{described(shape.of)}!"
    return f"[{described(shape.of)}]" if isinstance(shape, ListOf) else shape.name


def _faults(  # noqa: PLR0911 - one line a case
    shape: Shape, value: Any, at: str
) -> list[FieldError]:
    if isinstance(shape, Required):
        if value is None:
            return [FieldError(at, f"must not be null: {described(shape)}")]
        return _faults(shape.of, value, at)
    if value is None:
        return []
    if isinstance(shape, ListOf):
        if not isinstance(value, list):
            return _faults(shape.of, value, at)
        return [fault for n, item in enumerate(value) for fault in _faults(shape.of, item, f"{at}.{n}")]
    if isinstance(shape, Fields):
        return _object_faults(shape, value, at)
    if isinstance(shape, Choice):
        if isinstance(value, str) and value in shape.values:
            return []
        choice = ", ".join(sorted(shape.values)[:_SHOWN])
        return [FieldError(at, f"must be one of the values of {shape.name}: {choice}")]
    wanted = _wanted(shape.name, value)
    return [FieldError(at, f"must be {wanted}")] if wanted else []


def _object_faults(shape: Fields, value: Any, at: str) -> list[FieldError]:
    if not isinstance(value, dict):
        return [FieldError(at, f"must be an object: {shape.name}")]
    faults: list[FieldError] = []
    for name in value:
        if name not in shape.members:
            choice = ", ".join(sorted(shape.members)[:_SHOWN])
            faults.append(FieldError(f"{at}.{name}", f"{shape.name} has no such field; it has {choice}"))
    for name, member in shape.members.items():
        if name in value:
            faults += _faults(member.shape, value[name], f"{at}.{name}")
        elif isinstance(member.shape, Required) and not member.has_default:
            faults.append(FieldError(f"{at}.{name}", f"is required: {described(member.shape)}"))
    if shape.one_of and [item is None for item in value.values()] != [False]:
        faults.append(FieldError(at, f"{shape.name} takes exactly one of its fields, which is not null"))
    return faults


def _wanted(scalar: str, value: Any) -> str:
    """What a value of a built-in scalar should have been; empty when it is right."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and (isinstance(value, int) or value.is_integer())
    if scalar == "Int" and not (whole and -(2**_INT_BITS) <= value < 2**_INT_BITS):
        return "a whole number of 32 bits (Int)"
    if scalar == "Float" and not number:
        return "a number (Float)"
    if scalar == "String" and not isinstance(value, str):
        return "a text (String)"
    if scalar == "Boolean" and not isinstance(value, bool):
        return "true or false (Boolean)"
    if scalar == "ID" and not (isinstance(value, str) or whole):
        return "a text or a whole number (ID)"
    return ""
