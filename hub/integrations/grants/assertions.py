"""Signed JSON Web Tokens (RFC 7519, 7515) for whoever asks a token endpoint: RS256 and ES256 (RFC 7518, 3.3 and 3.4).

Only signing, so no library beyond `cryptography` is needed; nothing here reads a token. Time and the token's id are
arguments.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hub.core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.secret import Secret

_P256_BYTES = 32


class UnusableKey(HubError):
    """The private key cannot sign what is asked; the sentence does not show it."""

    code = "unusable_key"
    title = "The private key is not usable"


def signed(claims: Mapping[str, Any], key: Secret, algorithm: str, key_id: str | None = None) -> str:
    """A JWT in compact form.

    Args:
        claims: its payload.
        key: PEM, not encrypted.
        algorithm: `RS256` or `ES256`.
        key_id: the header's `kid`.

    Raises:
        UnusableKey: the key is none, or of another kind.
    """
    header = {"alg": algorithm, "typ": "JWT"} | ({} if key_id is None else {"kid": key_id})
    body = f"{_encoded(_json(header))}.{_encoded(_json(claims))}"
    return f"{body}.{_encoded(_signature(body.encode(), key, algorithm))}"


def _signature(body: bytes, key: Secret, algorithm: str) -> bytes:
    try:
        private = load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError):  # its text may quote the key
        raise UnusableKey("The private key is not a PEM key without a password.") from None
    if algorithm == "RS256" and isinstance(private, rsa.RSAPrivateKey):
        return private.sign(body, padding.PKCS1v15(), SHA256())
    if (
        algorithm == "ES256"
        and isinstance(private, ec.EllipticCurvePrivateKey)
        and isinstance(private.curve, ec.SECP256R1)
    ):
        r, s = decode_dss_signature(private.sign(body, ec.ECDSA(SHA256())))
        return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)
    kind = "an RSA key" if algorithm == "RS256" else "a key on the curve P-256"
    raise UnusableKey(f"The private key is not {kind}, which {algorithm} needs.")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
