"""OAuth 1.0 with tokens that were given once (RFC 5849): every request is signed."""

from __future__ import annotations

import threading
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field

from hub.core.errors import FieldError, Invalid
from hub.integrations.auth.fields import Shown, WriteOnly, text_at
from hub.integrations.auth.mode import Mode, Parameters, Secrets, plain_traces
from hub.integrations.auth.request_places import body_of
from hub.integrations.forms import Form

_FORM = "application/x-www-form-urlencoded"
_NO_KEY = "is not an RSA private key in PEM without a passphrase"

SignatureMethod = Literal[
    "HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "RSA-SHA512", "PLAINTEXT"
]


class OAuth1Auth(Form):
    """OAuth 1.0: requests are signed with the secrets of a consumer and, for three legs, of a token.

    HMAC and PLAINTEXT need `consumer_secret`, RSA needs `private_key`. PLAINTEXT sends the secrets themselves.
    """

    mode: Literal["oauth1"]
    consumer_key: Shown = Field(min_length=1, description="The client's identifier; it is shown.")
    token: Shown = Field(default="", description="The token's identifier; empty for two legs. It is shown.")
    signature_method: SignatureMethod = "HMAC-SHA1"
    placement: Literal["header", "query", "body"] = Field(
        default="header",
        description="Where the signature goes. `body` is for forms alone (RFC 5849, 3.5.2).",
    )
    realm: Shown = Field(default="", description="For the header, where the service wants one (NetSuite).")
    body_hash: bool = Field(
        default=False, description="Sign bodies that are no forms, too, by `oauth_body_hash` (Mastercard)."
    )
    consumer_secret: WriteOnly = None
    token_secret: WriteOnly = None
    private_key: WriteOnly = None


class OAuth1:
    """Signs requests.

    Args:
        parameters: of the form.
        secrets: `consumer_secret` or `private_key`, by the method; `token_secret` with a token.
        nonce, timestamp: instead of new ones.
    """

    def __init__(
        self,
        parameters: Parameters,
        secrets: Secrets,
        *,
        nonce: str | None = None,
        timestamp: str | None = None,
    ) -> None:
        self._parameters = parameters
        self._secrets = secrets
        self._fixed = {"nonce": nonce, "timestamp": timestamp}
        self._lock = threading.Lock()
        self._key: RSAPrivateKey | None = None

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request.

        Raises:
            Invalid: it cannot be signed.
        """
        from hub.integrations.auth.oauth1_client import SigningClient

        body = body_of(request)
        content_type = str(request.headers.get("Content-Type") or "")
        # A body of GET has no meaning (RFC 9110, 9.3.1), so it is not signed.
        is_form = (
            content_type.partition(";")[0].strip().lower() == _FORM
            and bool(body)
            and request.method not in {"GET", "HEAD"}
        )
        placement = self._parameters["placement"]
        if placement == "body" and not is_form:
            raise Invalid("OAuth 1.0 with `placement` body can only sign forms; this request has no form.")
        client = SigningClient(
            signing_key=self._signing_key(),
            hashed_body=body if self._parameters["body_hash"] and not is_form else None,
            client_key=self._parameters["consumer_key"],
            client_secret=self._reveal("consumer_secret"),
            resource_owner_key=self._parameters["token"] or None,
            resource_owner_secret=self._reveal("token_secret"),
            signature_method=self._parameters["signature_method"],
            signature_type={"header": "AUTH_HEADER", "query": "QUERY", "body": "BODY"}[placement],
            realm=self._parameters["realm"] or None,
            **self._fixed,
        )
        try:
            url, headers, signed_body = client.sign(
                request.url,
                request.method,
                body=body.decode() if is_form else None,
                headers={"Content-Type": _FORM} if is_form else {},
            )
        except ValueError:
            # Its text may repeat a part of the request.
            raise Invalid(
                "OAuth 1.0 cannot sign this request: its query or its form is not percent-encoded UTF-8."
            ) from None
        if placement == "header":
            request.headers["Authorization"] = headers["Authorization"]
        elif placement == "query":
            request.url = url
        else:
            request.body = str(signed_body).encode()
        return request

    def _reveal(self, name: str) -> str | None:
        secret = self._secrets.get(name)
        return None if secret is None else secret.reveal()

    def _signing_key(self) -> RSAPrivateKey | None:
        """Read once: that takes longer than to sign."""
        if not _uses_key(self._parameters["signature_method"]):
            return None
        with self._lock:
            if self._key is None:
                self._key = read_rsa_key(self._reveal("private_key") or "")
            if self._key is None:
                raise Invalid(f"auth.private_key {_NO_KEY}.")
            return self._key


def read_rsa_key(pem: str) -> RSAPrivateKey | None:
    """A key that can sign; None when the text is none."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def needs(form: OAuth1Auth) -> tuple[str, ...]:
    """The secrets that the method signs with."""
    signing = "private_key" if _uses_key(form.signature_method) else "consumer_secret"
    return (signing, "token_secret") if form.token and signing == "consumer_secret" else (signing,)


def traces(parameters: Parameters, secrets: Secrets) -> list[str]:
    """The secrets, and what PLAINTEXT makes of them (RFC 5849, 3.4.4): encoded, and encoded once more on the way."""
    from oauthlib.oauth1.rfc5849.utils import escape

    found = plain_traces(parameters, secrets)
    if parameters["signature_method"] != "PLAINTEXT":
        return found
    pair = (secrets.get("consumer_secret"), secrets.get("token_secret"))
    joined = "&".join("" if secret is None else escape(secret.reveal()) for secret in pair)
    return [*found, *(escape(text) for text in found), joined]


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    found: list[FieldError] = []
    method, placement = text_at(given, "signature_method", "HMAC-SHA1"), text_at(given, "placement", "header")
    key = text_at(given, "private_key")
    if key and read_rsa_key(key) is None:
        found.append(FieldError("auth.private_key", _NO_KEY))
    if key and not _uses_key(method):
        found.append(FieldError("auth.private_key", f"has no meaning with {method}; leave it out"))
    if text_at(given, "token_secret") and not text_at(given, "token"):
        found.append(FieldError("auth.token", "is required with `token_secret`"))
    if text_at(given, "realm") and placement != "header":
        found.append(FieldError("auth.realm", "has a place only in the header (RFC 5849, 3.5.1)"))
    if given.get("body_hash") is True and placement == "body":
        found.append(
            FieldError("auth.body_hash", "is for bodies that are no forms; `placement` body is for forms")
        )
    return found


def _uses_key(method: str) -> bool:
    return method.startswith("RSA-")


MODE = Mode(
    "oauth1",
    OAuth1Auth,
    optional_secrets=("consumer_secret", "token_secret", "private_key"),
    sign=OAuth1,
    traces=traces,
    faults=faults,
    any_text=frozenset({"private_key"}),
    needs=needs,
)
