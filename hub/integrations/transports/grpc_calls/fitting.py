"""Whether an operation and an input fit the types of a service, and the messages that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.grpc_calls.messages import NotFittingError, to_wire
from hub.integrations.transports.grpc_calls.schema import UnknownMethodError

if TYPE_CHECKING:
    from hub.integrations.transports.grpc_calls.forms import GrpcOperation
    from hub.integrations.transports.grpc_calls.schema import Method, Schema
    from hub.integrations.transports.grpc_calls.transport import Wire


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is called, and with what.

    Args:
        method: its types.
        messages: as they travel.
    """

    method: Method
    messages: tuple[bytes, ...]


def operation_faults(types: Schema, operation: GrpcOperation, at: str) -> list[FieldError]:
    """What is wrong with method and default message; the latter need not be complete."""
    try:
        method = types.method(operation.method)
    except UnknownMethodError as error:
        return [FieldError(f"{at}.method", str(error))]
    if operation.message is not None:
        try:
            to_wire(operation.message, method.input_type, types, partial=True)
        except NotFittingError as error:
            return [FieldError(f"{at}.message", str(error))]
    return []


def fit(types: Schema, wire: Wire) -> Fitted:
    """Make the messages of a call.

    Raises:
        Invalid: there is no such method, or a message does not fit; with one field for every fault.
    """
    try:
        method = types.method(wire.operation.method)
    except UnknownMethodError as error:
        raise Invalid.of([FieldError("operation", f"{wire.operation.method} {error}")]) from None
    at = f"{wire.field}.message"
    if wire.several and not method.client_streaming:
        raise Invalid.of([FieldError(f"{at}s", f"{wire.operation.method} takes one `message`, not a stream")])
    faults: list[FieldError] = []
    made: list[bytes] = []
    for index, message in enumerate(wire.messages):
        try:
            made.append(to_wire(message, method.input_type, types))
        except NotFittingError as error:
            faults.append(FieldError(f"{at}s.{index}" if wire.several else at, str(error)))
    if faults:
        raise Invalid.of(faults)
    return Fitted(method, tuple(made))
