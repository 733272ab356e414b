"""One question for tokens, whatever the mode; never raises for what the provider does."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from hub.core.secret import Secret
from hub.integrations.auth.google_service_account import TOKEN_URL, GoogleServiceAccountAuth, read_key
from hub.integrations.auth.oauth2 import OAuth2Auth
from hub.integrations.grants.answer import Refused, Tokens, read_oauth
from hub.integrations.grants.assertions import UnusableKey
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.login import log_in
from hub.integrations.grants.oauth2 import Client
from hub.net.token_endpoint import DEFAULT_LIFE_SECONDS

if TYPE_CHECKING:
    from hub.core.clock import Clock
    from hub.integrations.grants.answer import Answer
    from hub.net.session import GuardedSession


class Asker:
    """Asks providers for tokens.

    Args:
        session: the way out.
        clock: wall time, for signed assertions.
        google_token_url: where keys of Google service accounts are exchanged.
    """

    def __init__(self, session: GuardedSession, clock: Clock, *, google_token_url: str = TOKEN_URL) -> None:
        self.session = session
        self.clock = clock
        self._google_token_url = google_token_url

    def ask(self, holder: Holder, refresh: Secret | None) -> Answer:
        """Ask once; it takes up to 10 s.

        Args:
            holder: the integration.
            refresh: the refresh token, where a person gave the grant.
        """
        try:
            return self._ask(holder, refresh)
        except UnusableKey as error:
            return Refused(error.code, error.detail)

    def _ask(self, holder: Holder, refresh: Secret | None) -> Answer:
        mode = holder.parameters["mode"]
        if mode == "login_call":
            return log_in(self.session, holder)
        if mode == "google_service_account":
            holder = self._google(holder)
        client = Client(self.session, holder, self.clock)
        jti = secrets.token_urlsafe(16)
        fields = client.by_itself(jti) if refresh is None else client.refresh(refresh)
        sent = [*client.secrets, *([] if refresh is None else [refresh])]
        answer = read_oauth(client.ask(fields, jti), client.settings, sent)
        if not isinstance(answer, Tokens) or refresh is not None:
            return answer
        # What can be had anew at any time needs no refresh token (RFC 6749, 4.4.3).
        return replace(answer, refresh=None, life=answer.life or DEFAULT_LIFE_SECONDS)

    def _google(self, holder: Holder) -> Holder:
        """A service account is RFC 7523 with Google's habits: the scopes are a claim."""
        settings = GoogleServiceAccountAuth.model_validate(dict(holder.parameters))
        key = read_key(holder.secrets["key"].reveal()) if "key" in holder.secrets else None
        if key is None:
            raise UnusableKey("`auth.key` is not the JSON key of a service account.")
        parameters = OAuth2Auth.model_validate(
            {
                "mode": "oauth2",
                "grant": "jwt_bearer",
                "token_url": self._google_token_url,
                "client_auth": "none",
                "key_id": key.get("private_key_id"),
                "assertion": {
                    "issuer": key["client_email"],
                    "subject": settings.subject,
                    "life_seconds": 3600,
                    "claims": {"scope": " ".join(settings.scopes)},
                },
            }
        ).model_dump(mode="json", by_alias=True)
        return Holder(
            id=holder.id,
            tenant_id=holder.tenant_id,
            base_url=holder.base_url,
            parameters=parameters,
            secrets={"private_key": Secret(key["private_key"])},
            secret_ids=holder.secret_ids,
            elsewhere=holder.elsewhere,
        )
