"""One question to an OAuth 2.0 token endpoint, and its answer (RFC 6749, 2.3, 4.4 and 5).

Promises: neither the client secret nor the token is in a message or a `repr`; a token that is returned can
stand in a header. Leaves to others: when to ask (`token`).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote_plus, urlencode

from hub.core.secret import Secret
from hub.net.outcome import ErrorClass, Outcome, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.net.session import GuardedSession

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 65_536
DEFAULT_LIFE_SECONDS = 300.0
"""Life of a token whose endpoint does not say (RFC 6749, 5.1 lets it)."""
MAX_LIFE_SECONDS = 86_400.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 300.0

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What to ask a token endpoint for.

    Args:
        token_url: judged by the session's address policy.
        client_id: shown in no message.
        client_secret: sent in a Basic header or in the body.
        scopes: joined with spaces.
        audience: sent when set (Auth0 and others ask for it).
        client_auth: `basic` (RFC 6749, 2.3.1) or `post`.
        extra: more form fields; the ones above win over them.
    """

    token_url: str
    client_id: str
    client_secret: Secret
    scopes: tuple[str, ...] = ()
    audience: str | None = None
    client_auth: Literal["basic", "post"] = "basic"
    extra: Mapping[str, str] = field(default_factory=dict)


class TokenFault(NamedTuple):
    """Why there is no token.

    Args:
        error_class: as in an `Outcome`.
        message: a sentence for a person, without secrets.
        retry_after: seconds until the token endpoint will be asked again.
    """

    error_class: ErrorClass
    message: str
    retry_after: float


class Token(NamedTuple):
    """A token and its life in seconds."""

    token: Secret
    life: float


def ask(session: GuardedSession, request: TokenRequest, faults: int) -> Token | TokenFault:
    """Ask once; it takes up to 10 s. No redirect is followed.

    Args:
        session: the way out.
        request: what to ask for.
        faults: how many questions in a row have failed; each doubles the pause, from 1 s to 5 minutes.
    """
    return _read(_post(session, request), faults)


def _post(session: GuardedSession, request: TokenRequest) -> Outcome:
    form = {**request.extra, "grant_type": "client_credentials"}
    if request.scopes:
        form["scope"] = " ".join(request.scopes)
    if request.audience is not None:
        form["audience"] = request.audience
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    secret = request.client_secret.reveal()
    if request.client_auth == "basic":
        pair = f"{quote_plus(request.client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form |= {"client_id": request.client_id, "client_secret": secret}
    return session.call(
        "POST",
        request.token_url,
        headers=headers,
        data=urlencode(form).encode(),
        timeout=TIMEOUT_SECONDS,
        max_body=MAX_ANSWER_BYTES,
        pool_key=("token", request.client_id, request.client_secret.fingerprint),
    )


def _read(outcome: Outcome, faults: int) -> Token | TokenFault:
    """The token of an answer (RFC 6749, 5.1), or why there is none (5.2)."""
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(faults, 16), _LONGEST_PAUSE_SECONDS)
    asked = retry_after_seconds(outcome.headers, datetime.now(UTC))
    pause = max(pause, min(asked or 0.0, _LONGEST_PAUSE_SECONDS))
    try:
        answer = json.loads(outcome.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if outcome.error_class is not None:
        text = f"The token endpoint gave no token: {outcome.message}"
        code = answer.get("error")
        if isinstance(code, str) and _ERROR_CODE.fullmatch(code):
            text += f" It says {code}."
        return TokenFault(outcome.error_class, text, pause)
    token = answer.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        text = "The answer of the token endpoint holds no access_token that a header can carry."
        return TokenFault(ErrorClass.PROTOCOL, text, pause)
    if str(answer.get("token_type", "bearer")).lower() != "bearer":
        text = "The token endpoint gave a token that is not of type Bearer."
        return TokenFault(ErrorClass.PROTOCOL, text, pause)
    try:
        life = float(answer.get("expires_in") or DEFAULT_LIFE_SECONDS)
    except (TypeError, ValueError, OverflowError):
        life = DEFAULT_LIFE_SECONDS
    if not life > 0:
        life = DEFAULT_LIFE_SECONDS
    return Token(Secret(token), min(life, MAX_LIFE_SECONDS))
