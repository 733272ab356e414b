"""The one error tree.

HubError
├── ConfigError        a setting is missing or wrong; the process must not start
├── Invalid            the caller's input is wrong (422 unless a subclass says otherwise)
│   ├── Malformed      it could not be read at all (400)
│   └── TooLarge       it is over a cap (413)
├── Unauthenticated    no or unknown credentials (401)
├── Forbidden          known credentials without the right (403)
├── NotFound           no such thing in this tenant (404)
├── Conflict           it contradicts what is stored (409)
└── Unavailable        a part that the answer needs does not answer; repeat it later (503)

Each error is a sentence for a person plus, for input, the fields at fault. Errors never carry secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one input field.

    Args:
        path: where, as a dotted path from the body's root (`events.3.type`), or `header.Name`, `query.name`.
        message: what is wrong and how to mend it.
    """

    path: str
    message: str


class HubError(Exception):
    """The root: everything that the hub raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields


class ConfigError(HubError):
    """A setting is missing or wrong."""

    code = "bad_configuration"
    title = "Bad configuration"


class Invalid(HubError):
    """The input is readable but wrong."""

    status = 422
    code = "invalid_input"
    title = "Invalid input"

    @classmethod
    def of(cls, faults: Sequence[FieldError]) -> Self:
        """The error of these faults: the first five make its sentence, a hundred its fields."""
        shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
        return cls(f"{shown}.", fields=tuple(faults[:100]))


class Malformed(Invalid):
    """The input could not be read."""

    status = 400
    code = "malformed_input"
    title = "Malformed input"


class TooLarge(Invalid):
    """The input is over a size or depth cap."""

    status = 413
    code = "too_large"
    title = "Too large"


class Unauthenticated(HubError):
    """Credentials are missing, unknown, expired or revoked."""

    status = 401
    code = "unauthenticated"
    title = "Not authenticated"


class Forbidden(HubError):
    """The credentials do not carry the scope that this call needs."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class NotFound(HubError):
    """No such thing, or it belongs to another tenant (the two look alike on purpose)."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(HubError):
    """The request contradicts what is stored."""

    status = 409
    code = "conflict"
    title = "Conflict"


class Unavailable(HubError):
    """A part that the answer needs does not answer; repeating with the same id or key is safe."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"
