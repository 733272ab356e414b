"""Why there are no credentials for a call. Both cost no attempt: the call was not made.

HubError
├── NotYet        they are being got, or the provider does not answer now: later
└── NeedsReauth   a person has to do something first
"""

from __future__ import annotations

from hub.core.errors import HubError


class NotYet(HubError):
    """Ask again later.

    Args:
        detail: a sentence, without secrets.
        due_in: seconds after which to ask again.
    """

    status = 503
    code = "credentials_not_ready"
    title = "Credentials are not there yet"

    def __init__(self, detail: str, due_in: float) -> None:
        super().__init__(detail)
        self.due_in = due_in


class NeedsReauth(HubError):
    """The provider has not granted access, or has taken it back; nothing but a person can change that."""

    status = 409
    code = "needs_reauth"
    title = "The integration must be authorized"
