"""What providers ask of a URL before they send events to it. Pure; never raises.

A handshake must not be an oracle. Most only want their own words echoed, as plain text that no browser will take for
anything else. Where the protocol demands an HMAC of the caller's words (X, Zoom), the words are short and of an
alphabet in which no signed event can be written; where the provider signs its handshake (Slack, Zoom, Discord), the
signature is checked first.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hub.sources.verifiers.contract import Received, Reply, Verdict
from hub.sources.verifiers.payload import form_fields, is_form, json_body, query_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Greeting:
    """A request that may be a handshake.

    Args:
        received: the request.
        secrets: the source's, the current one first.
        verify: checks the request as if it were an event; called only where the provider signs its handshakes.
    """

    received: Received
    secrets: Sequence[Secret]
    verify: Callable[[], Verdict]

    def document(self) -> dict[str, Any]:
        """The body of a POST as a JSON object; an empty one when it is none, or larger than a handshake."""
        received = self.received
        small = received.method == "POST" and len(received.body) <= _MAX_BODY
        document = json_body(received.body) if small else None
        return document if isinstance(document, dict) else {}

    def asked(self, method: str, parameter: str) -> str | None:
        """A query parameter, when the request has this method."""
        return query_value(self.received.query, parameter) if self.received.method == method else None


#: Answers a handshake, or says by None that this is none.
Handshake = Callable[[Greeting], Reply | None]

#: Handshakes are asked before the signature is checked, so a large event is not read for them.
_MAX_BODY = 8_192
_PLAIN = "text/plain; charset=utf-8"
_ECHO = re.compile(r"[\x20-\x7e]{1,1024}")
_TOKEN = re.compile(r"[A-Za-z0-9+/=_\-]{1,128}")
_NOTION_TOKEN = re.compile(r"[A-Za-z0-9_\-]{1,256}")


def _reply(status: int, body: bytes, content_type: str, handshake: str) -> Reply:
    return Reply(status, body, content_type, {"x-content-type-options": "nosniff"}, handshake)


def _echo(words: str | None, handshake: str) -> Reply | None:
    if words is None or _ECHO.fullmatch(words) is None:
        return None
    return _reply(200, words.encode(), _PLAIN, handshake)


def _json(value: Any, handshake: str) -> Reply:
    return _reply(200, msgspec.json.encode(value), "application/json", handshake)


def _hmac(key: Secret, words: str) -> bytes:
    return hmac.digest(key.reveal().encode(errors="surrogatepass"), words.encode(), "sha256")


def slack(greeting: Greeting) -> Reply | None:
    """`url_verification`, signed as events are (docs.slack.dev/reference/events/url_verification)."""
    document = greeting.document()
    challenge = document.get("challenge")
    if document.get("type") != "url_verification" or not isinstance(challenge, str):
        return None
    if _ECHO.fullmatch(challenge) is None or not greeting.verify().ok:
        return None
    return _json({"challenge": challenge}, "url_verification")


def zoom(greeting: Greeting) -> Reply | None:
    """`endpoint.url_validation`: the HMAC of a plain token (developers.zoom.us/docs/api/webhooks).

    Events sign `v0:time:body`; a plain token has no colon, so this HMAC can never be that of an event.
    """
    document = greeting.document()
    payload = document.get("payload")
    token = payload.get("plainToken") if isinstance(payload, dict) else None
    if document.get("event") != "endpoint.url_validation" or not isinstance(token, str):
        return None
    index = greeting.verify().secret_index
    if _TOKEN.fullmatch(token) is None or index is None:
        return None
    encrypted = _hmac(greeting.secrets[index], token).hex()
    return _json({"plainToken": token, "encryptedToken": encrypted}, "endpoint.url_validation")


def x(greeting: Greeting) -> Reply | None:
    """The challenge-response check: the HMAC of `crc_token` (docs.x.com/x-api/webhooks/introduction).

    Events are signed with the same key over the bare body, so the token's alphabet has no `{`, and the check of events
    takes nothing but JSON objects.
    """
    token = greeting.asked("GET", "crc_token")
    if token is None or _TOKEN.fullmatch(token) is None:
        return None
    if not greeting.secrets or not greeting.secrets[0].reveal():
        return None
    signature = b64encode(_hmac(greeting.secrets[0], token)).decode()
    return _json({"response_token": f"sha256={signature}"}, "crc")


def meta(verify_token: str | None) -> Handshake:
    """`hub.challenge` (developers.facebook.com/docs/graph-api/webhooks/getting-started).

    Args:
        verify_token: what was entered as the verify token in Meta's dashboard; it signs nothing.
    """

    def greet(greeting: Greeting) -> Reply | None:
        if greeting.asked("GET", "hub.mode") != "subscribe":
            return None
        given = (greeting.asked("GET", "hub.verify_token") or "").encode(errors="replace")
        if verify_token is None or not hmac.compare_digest(verify_token.encode(errors="replace"), given):
            reason = b"The verify token is not this source's verify_token."
            return _reply(403, reason, _PLAIN, "hub.challenge")
        return _echo(greeting.asked("GET", "hub.challenge"), "hub.challenge")

    return greet


def dropbox(greeting: Greeting) -> Reply | None:
    """GET with `challenge` (dropbox.com/developers/reference/webhooks)."""
    return _echo(greeting.asked("GET", "challenge"), "challenge")


def microsoft_graph(greeting: Greeting) -> Reply | None:
    """`validationToken` in the query, echoed decoded.

    Source: learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks.
    """
    return _echo(greeting.asked("POST", "validationToken"), "validationToken")


def discord(greeting: Greeting) -> Reply | None:
    """PING: of interactions (type 1, answered by type 1) and of webhook events (type 0, answered by 204).

    Source: discord.com/developers/docs, "Receiving and responding to interactions" and "Webhook events". Discord also
    sends pings with wrong signatures and takes the URL away when they are not refused.
    """
    document = greeting.document()
    kind = document.get("type")
    if not isinstance(kind, int) or kind not in {0, 1} or "event" in document or "data" in document:
        return None
    if not greeting.verify().ok:
        return None
    return _json({"type": 1}, "ping") if kind == 1 else _reply(204, b"", "application/json", "ping")


def notion(greeting: Greeting) -> Reply | None:
    """The one-time `verification_token` (developers.notion.com/reference/webhooks).

    The body, as the inspector shows it, has the token: a person pastes it into Notion, which then accepts it or not,
    and stores it as the source's secret. It is never made the secret by itself: anybody could send one.
    """
    document = greeting.document()
    token = document.get("verification_token")
    if set(document) != {"verification_token"} or not isinstance(token, str):
        return None
    return _json({}, "verification_token") if _NOTION_TOKEN.fullmatch(token) else None


def woocommerce(greeting: Greeting) -> Reply | None:
    """The unsigned ping `webhook_id=7` on saving a webhook; it wants 200 (WooCommerce, `WC_Webhook::deliver_ping`)."""
    received = greeting.received
    if received.method != "POST" or not is_form(received) or "x-wc-webhook-signature" in received.headers:
        return None
    fields = form_fields(received.body) or []
    if len(fields) != 1 or fields[0][0] != b"webhook_id" or not fields[0][1].isdigit():
        return None
    return _reply(200, b"", _PLAIN, "ping")
