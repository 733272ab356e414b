"""What a SOAP fault means (SOAP 1.1, 4.4; SOAP 1.2, part 1, 5.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.quoting import quoted
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_SUBCODES = 10
# WS-Security 1.1, 12: the fault codes about who calls.
_UNAUTHORIZED = frozenset({"FailedAuthentication", "InvalidSecurityToken", "SecurityTokenUnavailable"})


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault that a service answered.

    Args:
        code: such as `soap:Client`.
        subcodes: more and more special ones.
        message: a sentence.
        actor: who says so.
        detail: what the service adds.
    """

    code: str
    subcodes: tuple[str, ...]
    message: str
    actor: str
    detail: Any

    def as_json(self) -> dict[str, Any]:
        """For people and for transformations; parts that are not there are left out."""
        value = {
            "faultcode": self.code,
            "faultstring": self.message,
            "faultactor": self.actor,
            "subcodes": list(self.subcodes),
            "detail": self.detail,
        }
        return {name: part for name, part in value.items() if part or name in {"faultcode", "faultstring"}}

    @property
    def error_class(self) -> ErrorClass:
        """The service's own error, or that it does not take the credentials."""
        codes = {code.rpartition(":")[2].rpartition(".")[2] for code in (self.code, *self.subcodes)}
        return ErrorClass.UNAUTHORIZED if codes & _UNAUTHORIZED else ErrorClass.PROVIDER_ERROR

    @property
    def sentence(self) -> str:
        """For `Outcome.message`."""
        code = " ".join(part for part in (self.code, *self.subcodes) if part)
        said = quoted(self.message) or "it says no more"
        return f"The service answered with the fault {quoted(code) or 'without a code'}: {said}."


def fault_of(envelope: Any, namespace: str, plain: Callable[[Any], Any]) -> SoapFault | None:
    """The fault in an envelope; None when there is none.

    Args:
        envelope: of an answer.
        namespace: of the envelope.
        plain: makes the detail into JSON.
    """
    body = envelope.find(f"{{{namespace}}}Body")
    fault = body.find(f"{{{namespace}}}Fault") if body is not None else None
    if fault is None:
        return None
    if fault.find(f"{{{namespace}}}Code") is not None:
        return _of_1_2(fault, namespace, plain)
    # Services often qualify these names although SOAP 1.1 does not.
    parts = {child.tag.rpartition("}")[2]: child for child in fault.iterchildren("*")}
    detail = parts.get("detail")
    return SoapFault(
        code=_text(parts.get("faultcode")),
        subcodes=(),
        message=_text(parts.get("faultstring")),
        actor=_text(parts.get("faultactor")),
        detail=None if detail is None else plain(detail),
    )


def _of_1_2(fault: Any, namespace: str, plain: Callable[[Any], Any]) -> SoapFault:
    def find(at: Any, *names: str) -> Any:
        for name in names:
            at = at.find(f"{{{namespace}}}{name}") if at is not None else None
        return at

    subcodes: list[str] = []
    at = find(fault, "Code", "Subcode")
    while at is not None and len(subcodes) < _MAX_SUBCODES:
        subcodes.append(_text(find(at, "Value")))
        at = find(at, "Subcode")
    detail = find(fault, "Detail")
    return SoapFault(
        code=_text(find(fault, "Code", "Value")),
        subcodes=tuple(subcodes),
        message=_text(find(fault, "Reason", "Text")),
        actor=_text(find(fault, "Role")),
        detail=None if detail is None else plain(detail),
    )


def _text(element: Any) -> str:
    return "".join(element.itertext()).strip() if element is not None else ""
