"""Is a request that claims to be a provider's webhook genuine? The door to `hub.sources.verifiers`.

`compile_verifier` turns a description into a verifier once; `verify` and `handshake` then run for each request. They
are pure (the time is passed in), but for PayPal's certificate, which comes from a function that the caller gives.
Whatever was received, they answer with a verdict and never raise. Comparison takes constant time; all secrets are
tried, so that an overlap during rotation just works.

A description is `{"profile": "stripe"}`, with overrides where the profile has options, or `{"profile": "custom",
"header": "X-Signature", "template": "{timestamp}.{body}", …}` for a sender that we do not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.sources.handshakes import Greeting
from hub.sources.verifiers.contract import Certificates, Check, Received, Refused, Reply, Verdict, Verifier
from hub.sources.verifiers.generic import GENERIC
from hub.sources.verifiers.options import Options
from hub.sources.verifiers.payload import normalise_event_type
from hub.sources.verifiers.profiles import Profile
from hub.sources.verifiers.vendors_commerce import COMMERCE
from hub.sources.verifiers.vendors_messaging import MESSAGING
from hub.sources.verifiers.vendors_work import WORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hub.core.secret import Secret
    from hub.sources.handshakes import Handshake

__all__ = [
    "PROFILES",
    "Certificates",
    "Profile",
    "Received",
    "Reply",
    "Verdict",
    "Verifier",
    "compile_verifier",
    "normalise_event_type",
]

#: Every profile by its name: our own first, then the vendors' by name.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {**GENERIC, **dict(sorted((COMMERCE | MESSAGING | WORK).items()))}
)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A check with its handshake."""

    check: Check
    greet: Handshake | None
    needs_secret: bool

    def verify(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict; never raises."""
        if self.needs_secret and not secrets:
            detail = "This source has no secret yet, so nothing can be verified."
            return Verdict(ok=False, reason="no_secret", detail=detail)
        try:
            return self.check.accept(received, secrets, now)
        except Refused as refusal:
            return refusal.verdict

    def handshake(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Reply | None:
        """The reply to a handshake, or None when the request is none; never raises."""
        if self.greet is None:
            return None
        return self.greet(Greeting(received, secrets, lambda: self.verify(received, secrets, now)))


def compile_verifier(
    spec: Any, *, field: str = "verifier", certificates: Certificates | None = None
) -> Verifier:
    """Check a description and make its verifier.

    Args:
        spec: the description, as it came in.
        field: where it is in the caller's input, for errors.
        certificates: gives a PEM certificate for a URL (PayPal); it may do I/O and is called inside `verify`.

    Raises:
        Invalid: the description is wrong; it names the exact place.
    """
    if not isinstance(spec, dict):
        message = 'must be an object such as {"profile": "stripe"}'
        raise Invalid(f"{field} {message}.", fields=(FieldError(field, message),))
    options = Options(spec, field, certificates)
    profile = PROFILES.get(options.text("profile") or "")
    if profile is None:
        options.fail("profile", "must be one of " + ", ".join(f"`{name}`" for name in PROFILES))
    check = profile.build(options)
    greet = profile.greet(options)
    options.close()
    return _Compiled(check, greet, profile.needs_secret)
