"""A TLS client certificate: who the hub is to a receiver that asks for one (mutual TLS, RFC 8446, 4.4.2).

Promises: what `parse` returns can be used for a handshake now; the private key stays in memory, never in a
file, a log or an error. Leaves to others: storing it (`hub.vault`), presenting it (`transfer`, `identity`), and whether
the receiver takes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from hub.core.errors import FieldError, Invalid
from hub.core.secret import Secret

if TYPE_CHECKING:
    from datetime import datetime

MAX_CHARACTERS = 65_536
MAX_CERTIFICATES = 10
_MIN_RSA_BITS = 2048

PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)

_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type:.*ENCRYPTED", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate chain and its private key, both PEM.

    Make it with `parse` from what a person gave; the constructor is for what `parse` has checked before.

    Args:
        chain: the hub's own certificate first, then those that issued it; ASCII.
        key: unencrypted.
    """

    chain: bytes
    key: Secret

    @classmethod
    def parse(
        cls,
        pem_cert: str,
        pem_key: Secret,
        *,
        now: datetime,
        field: str = "client_certificate",
    ) -> ClientCertificate:
        """Check a chain and a key as a person gave them.

        Args:
            pem_cert: one to ten certificates, the hub's own first.
            pem_key: RSA (2,048 bits or more), elliptic-curve or Ed25519/Ed448 key without a passphrase.
            now: timezone-aware; the certificate has to be valid then.
            field: the input's path; faults are at `<field>.certificate` and `<field>.key`.

        Raises:
            Invalid: with what is wrong and how to mend it; it never repeats what was given.
        """
        certificates = _own_certificates(pem_cert, f"{field}.certificate", now)
        key = _private_key(pem_key, f"{field}.key")
        _check_pair(certificates, key, f"{field}.key")
        return cls(_written_anew(certificates), Secret(pem_key.reveal().strip() + "\n"))

    @property
    def subject(self) -> str:
        """Whom the certificate names (RFC 4514 text), for display."""
        return self._own.subject.rfc4514_string()

    @property
    def expires_at(self) -> datetime:
        """When the certificate ends, in UTC."""
        return self._own.not_valid_after_utc

    @property
    def _own(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain)


def check_chain(pem: str, *, now: datetime, field: str = "certificate") -> bytes:
    """Check a renewed chain whose key stays; whether they belong together is seen at the first call.

    Args:
        pem: one to ten certificates, the hub's own first.
        now: timezone-aware; the certificate has to be valid then.
        field: the input's path, for the error.

    Raises:
        Invalid: with what is wrong and how to mend it.
    """
    return _written_anew(_own_certificates(pem, field, now))


def check_authorities(pem: str, *, now: datetime, field: str = "ca") -> bytes:
    """Check a private list of trusted certificates (PEM), for a receiver whose certificate no public authority made.

    Args:
        pem: one to ten certificates.
        now: timezone-aware.
        field: the input's path, for the error.

    Returns:
        The same certificates, fit for `Call.ca`.

    Raises:
        Invalid: not PEM, too many, or all of them expired.
    """
    certificates = _certificates(pem, field)
    if all(one.not_valid_after_utc < now for one in certificates):
        _check_dates(certificates[0], now, field)
    return _written_anew(certificates)


def _own_certificates(pem: str, path: str, now: datetime) -> list[x509.Certificate]:
    found = _certificates(pem, path)
    _check_dates(found[0], now, path)
    return found


def _written_anew(certificates: list[x509.Certificate]) -> bytes:
    """Text around the PEM blocks may be anything, and is not ours to keep."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def _certificates(pem: str, path: str) -> list[x509.Certificate]:
    if len(pem) > MAX_CHARACTERS:
        raise _invalid(path, f"is longer than {MAX_CHARACTERS} characters")
    if _PRIVATE.search(pem):
        raise _invalid(path, "holds a private key; give only certificates here, they are shown again")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _invalid(
            path,
            "is not PEM; it has to begin with -----BEGIN CERTIFICATE----- (convert DER or PKCS#12 first)",
        ) from None
    if len(found) > MAX_CERTIFICATES:
        raise _invalid(path, f"holds {len(found)} certificates; at most {MAX_CERTIFICATES} make a chain")
    return found


def _check_dates(certificate: x509.Certificate, now: datetime, path: str) -> None:
    if certificate.not_valid_after_utc < now:
        raise _invalid(path, f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}; give a renewed one")
    if certificate.not_valid_before_utc > now:
        raise _invalid(path, f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def _private_key(pem: Secret, path: str) -> PrivateKey:
    text = pem.reveal()
    if len(text) > MAX_CHARACTERS:
        raise _invalid(path, f"is longer than {MAX_CHARACTERS} characters")
    if _ENCRYPTED.search(text):
        raise _invalid(path, "is encrypted; give it without a passphrase (openssl pkey), the hub encrypts it")
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # On purpose without the reason: such texts may repeat a part of the key.
        raise _invalid(
            path, "is not a private key in PEM; it has to begin with -----BEGIN PRIVATE KEY-----"
        ) from None
    if not isinstance(key, PrivateKey):
        raise _invalid(path, "is of a kind that TLS cannot use; give an RSA, elliptic-curve or Ed25519 key")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _MIN_RSA_BITS:
        raise _invalid(path, f"is an RSA key of {key.key_size} bits; at least {_MIN_RSA_BITS} are needed")
    return key


def _check_pair(certificates: list[x509.Certificate], key: PrivateKey, path: str) -> None:
    ours = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for number, certificate in enumerate(certificates, 1):
        try:
            theirs = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if theirs == ours:
            if number > 1:
                raise _invalid(path, f"belongs to certificate {number} of the chain; put that one first")
            return
    raise _invalid(path, "does not belong to the certificate; give the key that the certificate was made for")


def _invalid(path: str, message: str) -> Invalid:
    return Invalid(f"{path} {message}.", fields=(FieldError(path, message),))
