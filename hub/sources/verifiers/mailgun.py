"""Mailgun: the signature is in the body and covers a time and a token, not the rest of the body.

Source: documentation.mailgun.com, "Securing webhooks". As nothing else is covered, a signature that leaked once could
be sent with another body; Mailgun's advice is to honour each token once, so the token is the event's id here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.sources.verifiers.contract import Received, Refused, Verdict
from hub.sources.verifiers.keys import decoded, first_right, hmac_key
from hub.sources.verifiers.payload import form_fields, is_form, json_body, normalise_event_type, value_at
from hub.sources.verifiers.timestamps import epoch_seconds, judge_age

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub.core.secret import Secret

_TOKEN = re.compile(r"[0-9A-Za-z]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunCheck:
    """Mailgun's signature.

    Args:
        tolerance: seconds that the signed time may differ from now.
    """

    tolerance: int

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict of yes.

        Raises:
            Refused: the signature is missing, malformed, wrong or too old.
        """
        document = _document(received)
        parts = value_at(document, "signature")
        if not isinstance(parts, dict):
            raise Refused(
                "malformed_body", "The body has no `signature` with timestamp, token and signature."
            )
        timestamp, token, written = (parts.get(name) for name in ("timestamp", "token", "signature"))
        seconds = epoch_seconds(timestamp, "seconds")
        if seconds is None:
            raise Refused("malformed_timestamp", "The signature's timestamp is not in seconds.")
        signature = decoded(written, "hex") if isinstance(written, str) else None
        if not signature or not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise Refused("malformed_body", "The body's `signature` has no token, or no signature in hex.")
        index = first_right(
            secrets,
            [(hmac_key("sha256"), [signature])],
            [f"{timestamp}{token}".encode()],
            "None of this source's secrets gives this signature: the signing key is another one.",
        )
        judge_age(seconds, now, self.tolerance)
        event = value_at(document, "event-data.event")
        return Verdict(
            ok=True,
            reason="ok",
            detail="The signature is right; Mailgun's covers a time and a token, not the rest of the body.",
            event_id=token,
            event_type=normalise_event_type(event if isinstance(event, str) else None),
            secret_index=index,
        )


def _document(received: Received) -> Any:
    """The body in the shape of the JSON webhooks; routes send the three values as form fields."""
    if not is_form(received):
        return json_body(received.body)
    fields = {name: value.decode(errors="replace") for name, value in form_fields(received.body) or []}
    signature = {name: fields.get(name.encode()) for name in ("timestamp", "token", "signature")}
    return {"signature": signature, "event-data": {"event": fields.get(b"event")}}
