"""The login call: making it from its description, and finding the token in what comes back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hub.integrations.auth.login_call import SECRET_NAMES, LoginCallAuth, TokenPlace, fill
from hub.integrations.grants.answer import (
    Failed,
    Refused,
    Tokens,
    at,
    not_granted,
    read_json,
    seconds,
    usable_token,
)
from hub.net.token_endpoint import MAX_ANSWER_BYTES, TIMEOUT_SECONDS
from hub.transforms.template import NotFilledError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.secret import Secret
    from hub.integrations.grants.answer import Answer
    from hub.integrations.grants.holder import Holder
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: Before a name (RFC 9110, 5.6.2) and what it is set to: no comma of a date, and few of a value.
_NEXT_COOKIE = re.compile(r", (?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")
_NO_LIFE = re.compile(r"max-age\s*=\s*(?:0+|-\d+)", re.IGNORECASE | re.ASCII)


def log_in(session: GuardedSession, holder: Holder) -> Answer:
    """Make the login call. No redirect is followed; it takes up to 10 s.

    Args:
        session: the way out.
        holder: the integration, of mode `login_call`.
    """
    settings = LoginCallAuth.model_validate(dict(holder.parameters))
    document = {**settings.values, **{name: holder.secrets[name].reveal() for name in _named(holder)}}
    try:
        headers = {name: fill(template, document) for name, template in settings.headers.items()}
        body, kind = _body(settings, document)
    except NotFilledError as error:
        return Refused("incomplete_settings", f"The login call cannot be made: {error}.")
    headers = {"Accept": "application/json", **({} if kind is None else {"Content-Type": kind}), **headers}
    url = settings.url if not settings.url.startswith("/") else holder.base_url.rstrip("/") + settings.url
    outcome = session.call(
        settings.method,
        url,
        headers=headers,
        data=body,
        timeout=TIMEOUT_SECONDS,
        max_body=MAX_ANSWER_BYTES,
        pool_key=("grant", holder.tenant_id, holder.asked),
    )
    return read_login(outcome, settings, list(holder.secrets.values()))


def _named(holder: Holder) -> list[str]:
    return [name for name in SECRET_NAMES if name in holder.secrets]


def _body(settings: LoginCallAuth, document: Mapping[str, str]) -> tuple[bytes | None, str | None]:
    if settings.json_body is not None:
        return json.dumps(_filled(settings.json_body, document)).encode(), "application/json"
    if settings.form is not None:
        form = {name: fill(template, document) for name, template in settings.form.items()}
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    return None, None


def _filled(value: Any, document: Mapping[str, str]) -> Any:
    """A JSON value with its texts filled in: what goes in cannot change the form around it."""
    if isinstance(value, str):
        return fill(value, document)
    if isinstance(value, dict):
        return {name: _filled(child, document) for name, child in value.items()}
    if isinstance(value, list):
        return [_filled(child, document) for child in value]
    return value


def read_login(outcome: Outcome, settings: LoginCallAuth, sent: list[Secret]) -> Answer:
    """What a login's answer is. It says what it likes when it refuses; 401 and 403 are words that all of them know.

    Args:
        outcome: of the call.
        settings: where the answer holds what.
        sent: secrets that were in the request, which an answer may repeat.
    """
    found = read_json(outcome)
    if outcome.error_class is not None:
        refusal = not_granted(outcome, None, sent, "token")
        if outcome.status in {401, 403}:
            return Refused("login_refused", refusal.message)
        return refusal
    text = _token(outcome, found, settings.token)
    token = usable_token(text)
    if token is None:
        where = "" if settings.token.in_ == "text" else f" `{settings.token.name}`"
        message = (
            f"The login's answer holds no token in its {settings.token.in_}{where} that a call can carry."
        )
        return Failed(message, lasting=True)
    life = seconds(at(found, settings.life_path)) if settings.life_path else None
    return Tokens(token, life=life or settings.life_seconds)


def _token(outcome: Outcome, found: Any, place: TokenPlace) -> Any:
    if place.in_ == "json":
        return at(found, place.name)
    if place.in_ == "header":
        return outcome.headers.get(place.name.lower())
    if place.in_ == "text":
        return outcome.body.decode("utf-8", "replace").strip()
    return _cookie(outcome.headers.get("set-cookie", ""), place.name)


def _cookie(header: str, name: str) -> str | None:
    """The value of one cookie as it was set, quotes and all (RFC 6265, 5.2); None where it is only taken away.

    Args:
        header: `Set-Cookie` lines that were joined with commas; dates in them have commas too.
        name: of the cookie. Where it is set more than once, the last one is it.
    """
    found = None
    for line in _NEXT_COOKIE.split(header):
        pair, *attributes = line.split(";")
        key, _, value = pair.partition("=")
        gone = any(_NO_LIFE.fullmatch(attribute.strip()) for attribute in attributes)
        if key.strip() == name and value.strip() and not gone:
            found = value.strip()
    return found
