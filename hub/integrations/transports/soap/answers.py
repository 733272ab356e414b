"""What an answer over SOAP means: a result, a fault, or neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.soap.faults import SoapFault, fault_of
from hub.integrations.transports.soap.markup import BadMarkupError, etree, parse
from hub.integrations.transports.soap.results import Reader, TooLongError
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from hub.integrations.transports.soap.description import Description, Port

#: Faults travel with these (SOAP 1.1, 6.2; SOAP 1.2, part 2, 7.5.2); other statuses speak of HTTP.
_FAULT_STATUSES = frozenset({400, 500})
ANSWERED = frozenset({None, ErrorClass.HTTP_4XX, ErrorClass.HTTP_5XX})
"""Classes of calls that brought a whole answer."""


def judged(outcome: Outcome, description: Description, port: Port, operation: str, max_bytes: int) -> Outcome:
    """The outcome of a call, its body made JSON.

    Args:
        outcome: of the HTTP call; changed in place.
        description: of the service.
        port: that was called.
        operation: that was called.
        max_bytes: of the JSON.
    """
    if outcome.error_class not in ANSWERED:
        return outcome
    if outcome.ok and not outcome.body.strip():
        return with_json(outcome, None)
    reader = Reader(description.types, description.shapes, max_bytes)
    try:
        value = _read(outcome, reader, port, operation)
    except BadMarkupError as error:
        if outcome.ok:
            outcome.error_class = ErrorClass.PROTOCOL
            outcome.message = f"The answer is not a SOAP answer that can be read: {error}."
        return outcome
    except TooLongError:
        outcome.error_class = ErrorClass.TOO_LARGE
        outcome.message = f"The answer is longer than {max_bytes} bytes as JSON."
        return outcome
    if isinstance(value, SoapFault):
        outcome.message = value.sentence
        if outcome.ok or outcome.status in _FAULT_STATUSES:
            outcome.error_class = value.error_class
        return with_json(outcome, value.as_json())
    return with_json(outcome, value) if outcome.ok else outcome


def _read(outcome: Outcome, reader: Reader, port: Port, operation: str) -> Any:
    """A fault, or the result of a success."""
    if outcome.headers.get("content-type", "").lower().startswith("multipart/"):
        raise BadMarkupError("it has attachments, which are not supported")
    envelope = parse(outcome.body)
    # A service that does not know the version of the request answers in its own (SOAP 1.2, part 1, appendix A).
    fault = fault_of(envelope, etree.QName(envelope).namespace or "", reader.plain)
    if fault is not None or not outcome.ok:
        return fault
    return reader.result(port.operations[operation].output, envelope, port.envelope)


def with_json(outcome: Outcome, value: Any) -> Outcome:
    """The outcome with a JSON value for its body."""
    outcome.body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    outcome.headers = {**outcome.headers, "content-type": "application/json"}
    return outcome
