"""What a client raises.

HubClientError
├── HubApiError        the hub answered with a problem; the request was refused
├── HubUnreachable     no usable answer after all repeats; the hub may or may not have accepted the request
├── BrokerUnavailable  the broker did not confirm the message; it may or may not hold it
└── VerificationFailed a webhook is not to be trusted (`hub.client.verify`); `reason` is one of missing_header,
                       bad_header, bad_timestamp, too_old, too_new, no_known_signature, no_match

After HubUnreachable and BrokerUnavailable, send the same request with the same id or idempotency key: nothing is done
twice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One fault of one field.

    Args:
        path: dotted path from the body's root, or `header.X`, `query.x`.
        message: what is wrong.
    """

    path: str
    message: str


class HubClientError(Exception):
    """The root: everything that a client raises on purpose."""


class HubApiError(HubClientError):
    """The hub refused the request.

    Args:
        status: HTTP status.
        code: the kind of problem, stable, e.g. `invalid_input`.
        detail: a sentence.
        errors: the fields at fault.
        request_id: under which the hub's log has the rest.
        retry_after: seconds that the hub asked to wait before another try.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: tuple[FieldProblem, ...] = (),
        request_id: str | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, code, detail, errors, request_id)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        known = f" ({self.request_id})" if self.request_id else ""
        return f"{self.status} {self.code}: {self.detail}{known}"


class HubUnreachable(HubClientError):
    """No usable answer came."""


class BrokerUnavailable(HubClientError):
    """The broker did not confirm the message in time."""
