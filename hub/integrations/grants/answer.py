"""What a provider said when it was asked for a token: tokens, a refusal, or nothing that can be relied on.

A refusal is the provider's word that a person must act (RFC 6749, 5.2): it names an error. Anything else that is no
token (a timeout, 5xx, 429, a page of a firewall) is a failure: it says nothing about the grant, which is kept. Some of
them do not pass by themselves as a rule (`Failed.lasting`): who goes on asking may lock an account.

Promises: no token and no secret that was sent is in a message or a `repr`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.core.secret import Secret
from hub.integrations.pipeline.mapping import is_lost
from hub.integrations.pipeline.redaction import spellings
from hub.net.outcome import NEVER_SENT, ErrorClass, retry_after_seconds, safe_text
from hub.transforms.paths import MISSING, ManyPlacesError, parse_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub.integrations.auth.oauth2 import OAuth2Auth
    from hub.net.outcome import Outcome

MAX_LIFE_SECONDS = 10 * 365 * 86_400.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_HALF = re.compile("[\ud800-\udfff]")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
#: Errors that pass by themselves: RFC 6749, 4.1.2.1; RFC 8628, 3.5; and Slack's, which come with status 200
#: (https://docs.slack.dev/reference/methods/oauth.v2.access, "Errors").
_PASSING = frozenset(
    {
        "temporarily_unavailable",
        "server_error",
        "slow_down",
        "authorization_pending",
        "rate_limited",
        "ratelimited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
    }
)
_PASSING_STATUSES = frozenset({408, 425, 429})
#: A page that is longer than any answer with tokens is one as well.
_LASTING = frozenset({None, ErrorClass.REDIRECT, ErrorClass.HTTP_4XX, ErrorClass.TOO_LARGE})
_MAX_METADATA_CHARACTERS = 2048
#: As for the masking of answers: shorter texts occur by chance.
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was granted.

    Args:
        access: the access token.
        refresh: the refresh token; None when there was none.
        life: seconds; None when it has no known end.
        scopes: that were granted; None when the answer does not say.
        metadata: what was captured.
    """

    access: Secret
    refresh: Secret | None = None
    life: float | None = None
    scopes: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider said no.

    Args:
        code: its word for it.
        message: a sentence for a person.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer that says anything about the grant.

    Args:
        message: a sentence for a person.
        code: the provider's word for it, if it has one.
        retry_after: seconds that the provider wants to be left alone.
        lasting: the answer came, and does not change by itself as a rule: a 4xx, a redirect, or no token in a 2xx.
        uncertain: the question may have arrived and its answer was lost.
    """

    message: str
    code: str = ""
    retry_after: float | None = None
    lasting: bool = False
    uncertain: bool = False


Answer = Tokens | Refused | Failed


def read_json(outcome: Outcome) -> Any:
    """An answer's body as a JSON value; None when it is none."""
    try:
        return json.loads(outcome.body)
    except (ValueError, RecursionError):
        return None


def read_oauth(outcome: Outcome, settings: OAuth2Auth, sent: Iterable[Secret]) -> Answer:
    """The answer of a token endpoint (RFC 6749, 5).

    Args:
        outcome: of the call.
        settings: where the answer holds what.
        sent: secrets that were in the request, which an answer may repeat.
    """
    found = read_json(outcome)
    access = at(found, settings.answer.access_token)
    if outcome.error_class is None and isinstance(access, str) and access:
        return _tokens(found, access, settings, sent)
    return not_granted(outcome, found, sent, "access_token")


def not_granted(outcome: Outcome, found: Any, sent: Iterable[Secret], wanted: str) -> Refused | Failed:
    """Why there is no token in an answer.

    Args:
        outcome: of the call.
        found: its JSON value.
        sent: as for `read_oauth`.
        wanted: what the answer should have held.
    """
    answer = found if isinstance(found, dict) else {}
    code = answer.get("error")
    code = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    text = outcome.message or f"The answer holds no {wanted} that a call can carry."
    told = [code] if code else []
    details = [answer.get(name) for name in ("error_description", "error_uri")]
    # Masked before it is cut: no half of a secret is left over.
    told += [safe_text(masked(detail, sent)) for detail in details if isinstance(detail, str)]
    text = f"The provider gave no token: {text}" + (f" It says: {': '.join(told)}" if told else "")
    status = outcome.status or 0
    retry_after = retry_after_seconds(outcome.headers, datetime.now(UTC))
    if code and code not in _PASSING and status < 500 and status not in _PASSING_STATUSES:
        return Refused(code, text)
    passing = status in _PASSING_STATUSES or status >= 500 or (outcome.ok and code in _PASSING)
    lasting = outcome.error_class in _LASTING and not passing
    # Of an answer that broke off, the tokens may be what was lost.
    uncertain = is_lost(outcome) or (outcome.status is None and outcome.error_class not in NEVER_SENT)
    return Failed(text, code, retry_after, lasting, uncertain)


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """Text of a provider, without secrets that it repeats."""
    shown = [spelling for secret in secrets for spelling in _shown_as(secret.reveal())]
    for spelling in sorted(shown, key=len, reverse=True):
        text = text.replace(spelling, "***")
    return text


def _shown_as(secret: str) -> set[str]:
    return spellings(secret) if len(secret) >= _SHORTEST_SECRET else set()


def usable_token(value: Any) -> Secret | None:
    """A token that can stand in a header; None for anything else."""
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def seconds(value: Any) -> float | None:
    """A life as providers write it, as a number or as text; None when it is none."""
    try:
        life = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(life, MAX_LIFE_SECONDS) if life > 0 else None


def at(value: Any, path: str) -> Any:
    """What is at a dotted path; MISSING when there is nothing, or more than one thing."""
    try:
        return parse_path(path).one(value)
    except ManyPlacesError:
        return MISSING


def _tokens(found: Any, access: str, settings: OAuth2Auth, sent: Iterable[Secret]) -> Tokens | Failed:
    token = usable_token(access)
    if token is None:
        return Failed("The provider gave a token with characters that no header can carry.", lasting=True)
    refresh = at(found, settings.answer.refresh_token)
    scope = at(found, settings.answer.scope)
    return Tokens(
        access=token,
        refresh=Secret(refresh) if isinstance(refresh, str) and refresh and _is_storable(refresh) else None,
        life=seconds(at(found, settings.answer.expires_in)) or settings.default_life_seconds,
        scopes=_scopes(scope, settings.scope_separator),
        metadata=_captured(found, settings.capture, [access, refresh, *(one.reveal() for one in sent)]),
    )


def _scopes(value: Any, separator: str) -> tuple[str, ...] | None:
    """Scopes as they were granted: most providers separate them as RFC 6749, 3.3 says, whatever they take."""
    if isinstance(value, list):
        return tuple(safe_text(str(one), 200) for one in value[:200])
    if not isinstance(value, str):
        return None
    return tuple(safe_text(value.replace(separator, " "), len(value)).split()[:200])


def _captured(found: Any, capture: Mapping[str, str], secrets: Iterable[Any]) -> dict[str, Any]:
    """What people are shown of an answer: nothing that holds a secret, wherever the provider keeps its tokens."""
    captured = {name: at(found, path) for name, path in capture.items()}
    hidden = [spelling for one in secrets if isinstance(one, str) for spelling in _shown_as(one)]
    return {
        name: value
        for name, value in captured.items()
        if value is not MISSING and _can_be_shown(value, hidden)
    }


def _can_be_shown(value: Any, hidden: list[str]) -> bool:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    # Inside of JSON, quotes and backslashes of a secret are escaped.
    written = [json.dumps(one, ensure_ascii=False)[1:-1] for one in hidden]
    return (
        len(text) <= _MAX_METADATA_CHARACTERS
        and _is_storable(text)
        and not any(one in text for one in written)
    )


def _is_storable(text: str) -> bool:
    """Postgres has neither U+0000 nor halves of surrogate pairs."""
    return "\0" not in text and "\\u0000" not in text and _HALF.search(text) is None
