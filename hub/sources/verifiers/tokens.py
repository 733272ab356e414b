"""Checks without a signature: a token in a header or query parameter, HTTP basic, nothing at all.

A token proves that the sender knows it, not that the body is what was sent, and it can be replayed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.sources.verifiers.contract import Refused
from hub.sources.verifiers.payload import Extraction, json_body, query_value, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hub.core.secret import Secret
    from hub.sources.verifiers.contract import Check, Received, Verdict


def matching_secret(given: str, secrets: Sequence[Secret]) -> int | None:
    """The index of the secret that equals `given`, in constant time for each; an empty secret equals nothing."""
    raw = given.encode(errors="surrogatepass")
    for index, secret in enumerate(secrets):
        known = secret.reveal().encode(errors="surrogatepass")
        if known and hmac.compare_digest(known, raw):
            return index
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCheck:
    """Accepts everything, and says so."""

    extraction: Extraction

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:  # noqa: ARG002
        """Yes, with the reason `not_verified`."""
        detail = (
            "Accepted without any check: this source has no verifier, so anybody who knows the URL can send."
        )
        return self.extraction.accepted(received, None, detail, reason="not_verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCheck:
    """The secret itself, in a header or a query parameter.

    Args:
        header: the header, or
        parameter: the query parameter.
        prefix: what stands before the token, such as `Bearer `; letters of either case are the same.
        extraction: where the event's id and type are.
        usable: which secrets are tokens.
    """

    extraction: Extraction
    header: str | None = None
    parameter: str | None = None
    prefix: str = ""
    usable: Callable[[Secret], bool] = lambda _: True

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:  # noqa: ARG002
        """The verdict of yes.

        Raises:
            Refused: the token is missing or none of the secrets.
        """
        if self.header is not None:
            given, place = received.headers.get(self.header), f"header {self.header}"
        else:
            given, place = (
                query_value(received.query, self.parameter or ""),
                f"query parameter {self.parameter}",
            )
        if not given:
            raise Refused("missing_header", f"The request has no {place}.")
        if given[: len(self.prefix)].lower() != self.prefix.lower():
            raise Refused("malformed_header", f"The value of {place} does not begin with `{self.prefix}`.")
        index = matching_secret(given[len(self.prefix) :], secrets)
        if index is None or not self.usable(secrets[index]):
            raise Refused("token_mismatch", f"The token in {place} is none of this source's secrets.")
        return self.extraction.accepted(received, index, "The token is right; it does not cover the body.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCheck:
    """HTTP basic authentication (RFC 7617); the secret is `user:password`."""

    extraction: Extraction

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:  # noqa: ARG002
        """The verdict of yes.

        Raises:
            Refused: the credentials are missing, malformed or none of the secrets.
        """
        given = received.headers.get("authorization")
        if not given:
            raise Refused("missing_header", "The request has no header authorization.")
        kind, _, credentials = given.partition(" ")
        try:
            pair = base64.b64decode(credentials.strip().encode("ascii"), validate=True).decode()
        except (binascii.Error, ValueError):
            pair = ""
        if kind.lower() != "basic" or ":" not in pair:
            raise Refused(
                "malformed_header", "Header authorization is not `Basic` and base64 of `user:password`."
            )
        index = matching_secret(pair, secrets)
        if index is None:
            raise Refused("token_mismatch", "The user and password are none of this source's secrets.")
        detail = "The user and password are right; they do not cover the body."
        return self.extraction.accepted(received, index, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStateCheck:
    """Microsoft Graph: each notification of the body carries the `clientState` that the subscription was made with."""

    extraction: Extraction

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:  # noqa: ARG002
        """The verdict of yes.

        Raises:
            Refused: the body has no notifications, or one of them has no right clientState.
        """
        notifications = value_at(json_body(received.body), "value")
        if not isinstance(notifications, list) or not notifications:
            raise Refused(
                "malformed_body", "The body is no JSON object with a list `value` of notifications."
            )
        indexes = []
        for notification in notifications:
            state = value_at(notification, "clientState")
            index = matching_secret(state, secrets) if isinstance(state, str) else None
            if index is None:
                raise Refused(
                    "token_mismatch", "A notification's clientState is none of this source's secrets."
                )
            indexes.append(index)
        detail = "Each clientState is right; it does not cover the rest of the body."
        return self.extraction.accepted(received, max(indexes), detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureOrToken:
    """GitLab: a signature where there is one, else a token; `token.usable` keeps signing secrets out of tokens.

    Args:
        header: the header whose presence asks for the signature.
        signature: the check of the signature.
        token: the check of the token.
    """

    header: str
    signature: Check
    token: TokenCheck

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict of yes.

        Raises:
            Refused: neither is right.
        """
        if self.header not in received.headers:
            return self.token.accept(received, secrets, now)
        try:
            return self.signature.accept(received, secrets, now)
        except Refused as refusal:
            # GitLab sends both when both are set; a source that only knows the token can still go by that.
            if refusal.verdict.reason != "bad_secret" or self.token.header not in received.headers:
                raise
        return self.token.accept(received, secrets, now)
