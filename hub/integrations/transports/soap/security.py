"""UsernameToken of WS-Security (OASIS, UsernameToken Profile 1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeep.wsse.username import UsernameToken

if TYPE_CHECKING:
    from hub.core.secret import Secret


_UsernameToken: Any = UsernameToken


def add_token(envelope: Any, username: str, password: Secret, *, digest: bool) -> None:
    """Put a token into the header of an envelope.

    Args:
        envelope: lxml's element; changed.
        username: as it is.
        password: as it is.
        digest: send SHA-1 of nonce, time and password (made here) in place of the password.

    Raises:
        ValueError: one of them has a character that XML cannot hold.
    """
    token: Any = _UsernameToken(username, password.reveal(), use_digest=digest, zulu_timestamp=True)
    token.apply(envelope, {})
