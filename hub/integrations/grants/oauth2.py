"""Questions to OAuth 2.0 endpoints: the form fields of each grant, and how the hub proves who it is.

Sources: RFC 6749 (grants, client authentication), 7523 (JWT as grant and as client authentication), 7636 (PKCE), 8628
(device), 8693 (exchange), 7009 (revocation). No redirect is followed, an answer is at most 64 KiB, and a question
takes at most 10 s.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from hub.core.secret import Secret
from hub.integrations.auth.oauth2 import OAuth2Auth
from hub.integrations.grants.assertions import UnusableKey, signed
from hub.net.token_endpoint import MAX_ANSWER_BYTES, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.clock import Clock
    from hub.integrations.grants.holder import Holder
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CLIENT_ASSERTION_SECONDS = 60


class Client:
    """One integration as a client of its authorization server.

    Args:
        session: the way out.
        holder: the integration.
        clock: wall time, for signed assertions.
    """

    def __init__(self, session: GuardedSession, holder: Holder, clock: Clock) -> None:
        self.settings = OAuth2Auth.model_validate(dict(holder.parameters))
        self._session = session
        self._secrets = holder.secrets
        self._clock = clock
        self._pool_key = ("grant", holder.tenant_id, holder.asked)

    @property
    def secrets(self) -> list[Secret]:
        """What an answer must not show."""
        found = list(self._secrets.values())
        if self.settings.client_auth == "basic" and "client_secret" in self._secrets:
            found.append(Secret(self._pair()))
        return found

    def ask(self, fields: Mapping[str, str], jti: str) -> Outcome:
        """Ask the token endpoint.

        Args:
            fields: of the grant.
            jti: makes a signed assertion unique (RFC 7519, 4.1.7).

        Raises:
            UnusableKey: the private key cannot sign.
        """
        return self.post(self.settings.token_url, {**self.settings.token_parameters, **fields}, jti)

    def post(self, url: str, fields: Mapping[str, str], jti: str) -> Outcome:
        """Send a form to one of the server's endpoints, with the client's own proof (RFC 6749, 2.3).

        Raises:
            UnusableKey: the private key cannot sign.
        """
        form = dict(fields)
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        self._prove(form, headers, jti)
        return self._session.call(
            "POST",
            url,
            headers=headers,
            data=urlencode(form).encode(),
            timeout=TIMEOUT_SECONDS,
            max_body=MAX_ANSWER_BYTES,
            pool_key=self._pool_key,
        )

    def by_itself(self, jti: str) -> dict[str, str]:
        """The fields of a grant that needs no person.

        Raises:
            UnusableKey: the private key cannot sign.
        """
        if self.settings.grant == "jwt_bearer":
            return self._scoped(
                {
                    "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                    "assertion": self._assertion(jti),
                }
            )
        if self.settings.grant == "token_exchange":
            return self._scoped(self._exchange())
        return self._scoped({"grant_type": "client_credentials"})

    def refresh(self, token: Secret) -> dict[str, str]:
        """The fields of a renewal (RFC 6749, 6)."""
        return {"grant_type": "refresh_token", "refresh_token": token.reveal()}

    def scope(self) -> str:
        """The scopes as one text."""
        return self.settings.scope_separator.join(self.settings.scopes)

    def _scoped(self, fields: dict[str, str]) -> dict[str, str]:
        return fields | ({"scope": self.scope()} if self.settings.scopes else {})

    def _prove(self, form: dict[str, str], headers: dict[str, str], jti: str) -> None:
        how, client_id = self.settings.client_auth, self.settings.client_id
        if how == "basic":
            headers["Authorization"] = "Basic " + self._pair()
        elif how == "post":
            form |= {"client_id": client_id, "client_secret": self._secret("client_secret").reveal()}
        elif how == "private_key_jwt":
            now = int(self._clock.now().timestamp())
            claims = {
                "iss": client_id,
                "sub": client_id,
                "aud": self.settings.token_url,
                "jti": jti,
                "iat": now,
            }
            form |= {
                "client_id": client_id,
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": self._signed(claims | {"exp": now + _CLIENT_ASSERTION_SECONDS}),
            }
        elif client_id:
            form["client_id"] = client_id

    def _pair(self) -> str:
        """Who the client is, and its secret, as one text (RFC 6749, 2.3.1)."""
        secret = self._secret("client_secret").reveal()
        pair = f"{quote_plus(self.settings.client_id)}:{quote_plus(secret)}"
        return base64.b64encode(pair.encode()).decode()

    def _assertion(self, jti: str) -> str:
        made, now = self.settings.assertion, int(self._clock.now().timestamp())
        claims: dict[str, Any] = dict(made.claims)
        claims |= {
            "iss": made.issuer or self.settings.client_id,
            "aud": made.audience or self.settings.token_url,
        }
        if made.subject is not None:
            claims["sub"] = made.subject
        return self._signed(claims | {"iat": now, "exp": now + made.life_seconds, "jti": jti})

    def _exchange(self) -> dict[str, str]:
        kinds = self.settings.exchange
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": self._secret("subject_token").reveal(),
            "subject_token_type": kinds.subject_token_type,
        }
        if "actor_token" in self._secrets:
            fields |= {
                "actor_token": self._secret("actor_token").reveal(),
                "actor_token_type": kinds.actor_token_type,
            }
        if kinds.requested_token_type is not None:
            fields["requested_token_type"] = kinds.requested_token_type
        return fields

    def _signed(self, claims: Mapping[str, Any]) -> str:
        return signed(claims, self._secret("private_key"), self.settings.algorithm, self.settings.key_id)

    def _secret(self, name: str) -> Secret:
        found = self._secrets.get(name)
        if found is None:
            raise UnusableKey(f"The integration has no `auth.{name}`, which its settings need.")
        return found
