"""oauthlib's OAuth 1.0 client as the hub uses it; imported with the first call that needs it.

Differs from oauthlib in three ways: RSA signatures need no further package, the key is read once, and a hash of a
body that is no form is added only where the provider wants it (most refuse it).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from oauthlib.oauth1 import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def _rsa(algorithm: HashAlgorithm) -> Callable[[str, Any], str]:
    """RSASSA-PKCS1-v1_5 over the base string (RFC 5849, 3.4.3)."""

    def sign(base_string: str, client: Any) -> str:
        signed: bytes = client.signing_key.sign(base_string.encode(), PKCS1v15(), algorithm)
        return b64encode(signed).decode()

    return sign


class SigningClient(Client):  # type: ignore[misc, unused-ignore]
    """Signs one request.

    Args:
        signing_key: for the RSA methods.
        hashed_body: the body to hash (draft-eaton-oauth-bodyhash-00); None adds no hash.
        options: of oauthlib's client.
    """

    SIGNATURE_METHODS: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        **Client.SIGNATURE_METHODS,
        "RSA-SHA1": _rsa(SHA1()),  # noqa: S303 - RFC 5849 knows no other one
        "RSA-SHA256": _rsa(SHA256()),
        "RSA-SHA512": _rsa(SHA512()),
    }

    def __init__(
        self, *, signing_key: RSAPrivateKey | None, hashed_body: bytes | None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.signing_key = signing_key
        self._hashed_body = hashed_body

    def get_oauth_params(self, request: Any) -> list[tuple[str, str]]:
        """The protocol parameters, with the hash of the body: by the hash of the signature, SHA-1 when it has none."""
        found: list[tuple[str, str]] = super().get_oauth_params(request)  # type: ignore[no-untyped-call]
        if self._hashed_body is not None:
            name = str(self.signature_method).partition("-")[2].lower() or "sha1"
            digest = hashlib.new(name, self._hashed_body, usedforsecurity=False).digest()
            found.append(("oauth_body_hash", b64encode(digest).decode()))
        return found
