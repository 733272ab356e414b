"""Idempotency keys: the same request sent twice is done once and answered alike. Pure; `idempotency_store` keeps them.

A key belongs to a tenant and a scope (the kind of request, e.g. `events.publish`). The hash of the body tells
a repetition from a different request under a used key (IETF draft-ietf-httpapi-idempotency-key-header).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from uuid import UUID

_FIELD = "header.Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotencyKeyReused(Invalid):
    """The key was used before, with another body."""

    code = "idempotency_key_reused"
    title = "Idempotency key reused"

    def __init__(self, key: str) -> None:
        message = "was used before with another body; send a new key for a new request"
        super().__init__(f"The idempotency key {key} {message}.", fields=(FieldError(_FIELD, message),))


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's wish to be the first under its key.

    Args:
        tenant_id: who asks.
        scope: the kind of request.
        key: what the caller chose.
        body_hash: `hash_body` of the request.
        resource_id: what the request will have made, when that is known beforehand.
        status: the HTTP status to repeat, when it is known beforehand; else `finish_key` writes it.
        response: the JSON answer to repeat, likewise.
    """

    tenant_id: UUID
    scope: str
    key: str
    body_hash: bytes
    resource_id: UUID | None = None
    status: int | None = None
    response: Any = None


@dataclass(frozen=True, slots=True)
class Fresh:
    """The key is new: do the work."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The work was done before: repeat the answer.

    Args:
        status: the HTTP status then; None while the first request is still at work in later transactions.
        response: the JSON answer then.
        resource_id: what was made.
    """

    status: int | None
    response: Any
    resource_id: UUID | None


def check_key(key: str) -> str:
    """Accept a key that a caller sent.

    Raises:
        Invalid: it is not 1 to 255 visible ASCII characters.
    """
    if _KEY.fullmatch(key) is None:
        message = "must be 1 to 255 visible ASCII characters without spaces"
        raise Invalid(f"Idempotency-Key {message}.", fields=(FieldError(_FIELD, message),))
    return key


def hash_body(body: bytes) -> bytes:
    """What is compared instead of the body: SHA-256, 32 bytes."""
    return hashlib.sha256(body).digest()


def settle_repeat(first: Claim, repeat: Claim) -> Replay | IdempotencyKeyReused:
    """What a claim gets whose key was claimed before: the first one's answer, or the refusal."""
    if first.body_hash != repeat.body_hash:
        return IdempotencyKeyReused(repeat.key)
    return Replay(first.status, first.response, first.resource_id)
