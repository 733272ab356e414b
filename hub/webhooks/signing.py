"""Standard Webhooks 1.0.0 signatures (github.com/standard-webhooks/standard-webhooks, spec). Pure.

Signed are the bytes `id.timestamp.body`, over the exact body that is sent, with HMAC-SHA256.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from typing import TYPE_CHECKING

from hub.core.errors import FieldError, Invalid
from hub.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PREFIX = "whsec_"
_MIN_BYTES, _MAX_BYTES = 24, 64


def new_secret(random_bytes: Callable[[int], bytes] = os.urandom) -> Secret:
    """A signing secret of 32 random bytes in its printed form, `whsec_…`."""
    return Secret(PREFIX + base64.b64encode(random_bytes(32)).decode())


def decode_secret(secret: Secret, *, field: str = "secret") -> bytes:
    """The key bytes of a printed secret.

    Raises:
        Invalid: it is not `whsec_` and base64 of 24 to 64 bytes.
    """
    text = secret.reveal()
    message = f"must be `{PREFIX}` followed by base64 of {_MIN_BYTES} to {_MAX_BYTES} bytes"
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        raise Invalid(f"The signing secret {message}.", fields=(FieldError(field, message),))
    return key


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,<base64>` for each key, separated by spaces.

    Args:
        keys: key bytes, the current one first (several during a rotation).
        webhook_id: the value of `webhook-id`; without a dot.
        timestamp: the value of `webhook-timestamp`, seconds.
        body: the exact bytes that are sent.
    """
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
