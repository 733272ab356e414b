"""The words of verification: what was received, the verdict on it, the reply to a handshake.

Nothing here does I/O; time is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from hub.core.secret import Secret

#: Gives the PEM bytes behind a certificate's URL, or None when it cannot be had. The caller caches and does the I/O.
Certificates = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Received:
    """One HTTP request as it reached us.

    Args:
        method: in capitals, such as `POST`.
        url: the full public URL as the provider called it; Twilio, Square and HubSpot sign it.
        query: the raw query string, without `?`.
        headers: by lower-case name.
        body: the exact bytes.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is a request genuine, and what is it?

    Args:
        ok: may it be stored as an event.
        reason: one code word: `ok`, `not_verified`, `missing_header`, `malformed_header`, `malformed_timestamp`,
            `malformed_body`, `unsupported_version`, `signature_mismatch`, `timestamp_too_old`, `timestamp_in_future`,
            `token_mismatch`, `no_secret`, `bad_secret`, `certificate_unavailable`, `certificate_invalid`.
        detail: a sentence for a person; never a secret nor an expected signature.
        event_id: the provider's id of this event or delivery, the same on each retry; for de-duplication.
        event_type: the provider's type as dotted words, such as `orders.create`.
        secret_index: which secret matched (0 is the current one): tells when an overlap can end.
    """

    ok: bool
    reason: str
    detail: str
    event_id: str | None = None
    event_type: str | None = None
    secret_index: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a provider's handshake, to be sent as it is, instead of storing an event.

    Args:
        status: HTTP status.
        body: the exact bytes.
        content_type: value of `content-type`.
        headers: further headers.
        handshake: which handshake it was, for the inspector.
    """

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    handshake: str = ""


class Refused(Exception):
    """Inside the checks: the verdict of no. `Verifier.verify` turns it into its return value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.verdict = Verdict(ok=False, reason=reason, detail=detail)


class Check(Protocol):
    """One way of deciding whether a request is genuine."""

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict of yes.

        Args:
            received: the request.
            secrets: the current one first, older ones of an overlap behind it; not empty where one is needed.
            now: the time of receipt.

        Raises:
            Refused: the request is not genuine. Nothing else is ever raised, whatever was received.
        """
        ...


class Verifier(Protocol):
    """A check with the provider's handshake; never raises."""

    def verify(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict; `secrets` has the current one first, older ones of an overlap behind it."""
        ...

    def handshake(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Reply | None:
        """The reply that the provider's protocol asks for, or None when this is no handshake."""
        ...
