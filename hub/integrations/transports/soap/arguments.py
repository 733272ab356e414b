"""JSON as the arguments of an operation, checked against the service's description.

Names that the description does not know, texts that are no numbers and the like are named with their place, all at
once; what is required and missing is found by zeep when the message is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zeep import xsd
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import ValidationError

from hub.core.errors import FieldError
from hub.core.headers import is_value
from hub.integrations.transports.quoting import quoted
from hub.integrations.transports.soap import scalars
from hub.integrations.transports.soap.markup import BadMarkupError, etree, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub.integrations.transports.soap.description import Description, Port
    from hub.integrations.transports.soap.request import Request

#: Members of all objects together, absent ones too: each of them is kept while the message is made.
MAX_MEMBERS = 500_000
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it is posted.

    Args:
        envelope: lxml's element.
        action: of SOAP; empty when there is none.
    """

    envelope: Any
    action: str


@dataclass(slots=True)
class _Reading:
    faults: list[FieldError] = field(default_factory=list)
    room: int = MAX_MEMBERS

    def fault(self, at: str, message: str) -> None:
        self.faults.append(FieldError(at, message))


class UnfitError(Exception):
    """Arguments that do not fit the operation.

    Args:
        faults: what is wrong, and where.
    """

    def __init__(self, faults: Iterable[FieldError]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in self.faults[:5]))


def message_of(description: Description, port: Port, request: Request) -> Message:
    """The message of a call.

    Args:
        description: of the service.
        port: of it, with the operations.
        request: what is asked for.

    Raises:
        UnfitError: with every fault that was found.
    """
    operation, at = port.operations.get(request.operation), request.field
    if operation is None:
        raise UnfitError([FieldError(request.named_at, port.missing_operation)])
    reading = _Reading()
    arguments = _arguments(operation, request.body, f"{at}.body", reading)
    soap_headers = _headers(operation, description.types, request.headers, f"{at}.headers", reading)
    action = operation.soapaction or ""
    if not is_value(action) or '"' in action:
        reading.fault(request.named_at, "its SOAP action in the WSDL cannot be sent in a header")
    if reading.faults:
        raise UnfitError(reading.faults)
    try:
        made = operation.create(**arguments, _soapheaders=soap_headers)
    except ValidationError as error:
        part = "headers" if error.path[:1] == ["header"] else "body"
        path = ".".join([at, part, *(str(step) for step in error.path[1:])])
        raise UnfitError([FieldError(path, quoted(error.message, 200))]) from None
    except RecursionError:
        raise UnfitError([FieldError(f"{at}.body", "is nested too deeply")]) from None
    except Exception as error:  # noqa: BLE001 - zeep raises TypeError, KeyError, AttributeError … for what does not fit
        text = quoted(str(error), 200) if isinstance(error, TypeError | ZeepError) else type(error).__name__
        raise UnfitError([FieldError(f"{at}.body", f"does not fit the operation: {text}")]) from None
    return Message(made.content, action)


def name_faults(operation: Any, body: Mapping[str, Any], at: str) -> list[FieldError]:
    """What is wrong with arguments to which others will be added: names and values, not what is missing."""
    reading = _Reading()
    _arguments(operation, body, at, reading)
    return reading.faults


def _arguments(operation: Any, body: Mapping[str, Any], at: str, reading: _Reading) -> dict[str, Any]:
    part = operation.input.body if operation.input else None
    if part is None:
        for name in body:
            reading.fault(f"{at}.{name}", "the operation takes no arguments")
        return {}
    if isinstance(part.type, xsd.ComplexType):
        found = _object(part.type, body, at, reading)
        return found if isinstance(found, dict) else {}
    converted = {}
    for name, value in body.items():
        if name == "value":
            converted[name] = _single(part.type, value, f"{at}.value", reading)
        else:
            reading.fault(f"{at}.{name}", "unknown; the operation takes one `value`")
    return converted


def _headers(
    operation: Any, types: Any, headers: Mapping[str, Any], at: str, reading: _Reading
) -> dict[str, Any] | list[Any] | None:
    """A dict where the WSDL tells all of them for the operation; else a list, in which nothing is required."""
    declared = dict(operation.input.header.type.elements) if operation.input else {}
    elements = {}
    for name in headers:
        element = declared.get(name)
        if element is None and name.startswith("{"):
            try:
                element = types.get_element(name)
            except (ZeepError, ValueError):
                element = None
        if element is None:
            known = ", ".join(sorted(declared)[:_SHOWN]) or "none"
            text = f"the operation declares no such header; it declares {known}. Others are named {{namespace}}name"
            reading.fault(f"{at}.{name}", text)
        else:
            elements[name] = element
    values = {name: _member(each, headers[name], f"{at}.{name}", reading) for name, each in elements.items()}
    if reading.faults or not values:
        return None
    if declared.keys() >= values.keys():
        return values
    return [_rendered(elements[name], value, f"{at}.{name}", reading) for name, value in values.items()]


def _rendered(element: Any, value: Any, at: str, reading: _Reading) -> Any:
    parent = etree.Element("header")
    try:
        element.render(parent, element(**value) if isinstance(value, dict) else value)
    except Exception as error:  # noqa: BLE001 - see `message_of`
        text = quoted(error.message, 200) if isinstance(error, ValidationError) else type(error).__name__
        reading.fault(at, f"does not fit its element: {text}")
    return parent[0] if len(parent) else None


def _members(pairs: Iterable[tuple[str | None, Any]]) -> dict[str, Any]:
    """What an object may have: elements, wildcards, and groups that may repeat, by zeep's names."""
    found: dict[str, Any] = {}
    for name, part in pairs:
        if isinstance(part, xsd.Element | xsd.Any):
            found[name or part.attr_name] = part
        elif part.accepts_multiple:
            found[name or "_value_1"] = part
        else:
            found.update(_members(part.elements))
    return found


def _object(kind: Any, value: Any, at: str, reading: _Reading) -> Any:
    if kind._array_type is not None:  # noqa: SLF001 - zeep has no other way to tell
        return value
    members = _members(kind.elements_nested)
    if not isinstance(value, dict):
        content = members.get("_value_1")
        if len(members) == 1 and isinstance(content, xsd.Element) and scalars.is_simple(content.type):
            return {"_value_1": _single(content.type, value, at, reading)}
        reading.fault(at, "must be an object")
        return None
    attributes = dict(kind.attributes)
    reading.room -= len(members) + len(attributes)
    if reading.room < 0:
        if reading.room + len(members) + len(attributes) >= 0:
            reading.fault(at, f"has more than {MAX_MEMBERS} members, with those that are left out")
        return None
    converted = {}
    for name, item in value.items():
        if name in members:
            converted[name] = _member(members[name], item, f"{at}.{name}", reading)
        elif name in attributes and attributes[name].name is not None:
            converted[name] = _single(attributes[name].type, item, f"{at}.{name}", reading)
        else:
            known = ", ".join([*members, *attributes][:_SHOWN]) or "none"
            reading.fault(f"{at}.{ascii(name)[1:-1]}", f"unknown; it has {known}")
    return converted


def _member(part: Any, value: Any, at: str, reading: _Reading) -> Any:
    if part.accepts_multiple and isinstance(value, list):
        return [_item(part, item, f"{at}.{number}", reading) for number, item in enumerate(value)]
    return _item(part, value, at, reading)


def _item(part: Any, value: Any, at: str, reading: _Reading) -> Any:
    if isinstance(part, xsd.Any):
        return _foreign(value, at, reading)
    if isinstance(part, xsd.Element):
        return _single(part.type, value, at, reading)
    members = _members(part.elements)
    if not isinstance(value, dict):
        reading.fault(at, "must be an object")
        return None
    converted = {}
    for name, item in value.items():
        if name in members:
            converted[name] = _member(members[name], item, f"{at}.{name}", reading)
        else:
            reading.fault(f"{at}.{ascii(name)[1:-1]}", f"unknown; it has {', '.join([*members][:_SHOWN])}")
    return converted


def _single(kind: Any, value: Any, at: str, reading: _Reading) -> Any:
    if value is None:
        return None
    if isinstance(kind, xsd.ComplexType):
        return _object(kind, value, at, reading)
    converted, fault = scalars.to_xml(kind, value)
    if fault:
        reading.fault(at, fault)
    return converted


def _foreign(value: Any, at: str, reading: _Reading) -> Any:
    """An element that the description leaves open."""
    if value is None:
        return None
    if not isinstance(value, str):
        reading.fault(at, "must be an XML element as a text")
        return None
    try:
        return parse(value.encode())
    except (BadMarkupError, UnicodeEncodeError):
        reading.fault(at, "must be one well-formed XML element, without a document type")
        return None
