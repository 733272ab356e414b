"""What inputs have in common, whatever the transport: an object with known parts, for an operation that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.integrations.transports.interface import Connection


def operation_of(connection: Connection, name: str, free: str | None = None) -> Any:
    """The form of an operation.

    Args:
        connection: has the operations.
        name: of one of them.
        free: the operation that every integration of this transport has.

    Raises:
        Invalid: there is none of this name; says which there are.
    """
    found = connection.operations.get(name)
    if found is None:
        known = ", ".join(sorted([*connection.operations, *([] if free is None else [free])])) or "none"
        text = f"this integration has no such operation; it has {known}"
        raise Invalid.of([FieldError("operation", text)])
    return found


def parts_of(given: Any, known: Sequence[str], field: str, faults: list[FieldError]) -> dict[str, Any]:
    """The input as an object.

    Args:
        given: the input.
        known: the parts that it may have.
        field: where it stands, for errors.
        faults: gets the parts that it may not have.

    Raises:
        Invalid: it is no object.
    """
    if not isinstance(given, dict):
        raise Invalid.of([FieldError(field, "must be an object")])
    unknown = [name for name in given if name not in known]
    if unknown:
        text = f"unknown; an input has {', '.join(known) or 'nothing'}"
        faults += [FieldError(f"{field}.{name}", text) for name in unknown]
    return given


def object_at(given: Mapping[str, Any], name: str, field: str, faults: list[FieldError]) -> dict[str, Any]:
    """A part that is an object; empty when it is not there.

    Args:
        given: the input.
        name: of the part.
        field: where the input stands, for errors.
        faults: gets what is wrong with the part.
    """
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.append(FieldError(f"{field}.{name}", "must be an object"))
        return {}
    return value
