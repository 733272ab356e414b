"""A user and a private key for SSH (RFC 4252, 7), as file transfer by SFTP needs them."""

from __future__ import annotations

from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from pydantic import Field

from hub.core.errors import FieldError
from hub.integrations.auth.fields import WriteOnly, text_at
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.forms import Form

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----"


class SshKeyAuth(Form):
    """User name and private key for SSH; the key in OpenSSH's format or in PEM, RSA, elliptic-curve or Ed25519."""

    mode: Literal["ssh_key"]
    username: str = Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")
    private_key: WriteOnly = None
    passphrase: WriteOnly = None


class UnreadableKeyError(ValueError):
    """The text is no key that SSH can use; says why and how to mend it, to be read after the field."""


def read_key(text: str, passphrase: str | None) -> Key:
    """The key.

    Args:
        text: OpenSSH's format, or PEM (PKCS #1, SEC 1, PKCS #8).
        passphrase: None when there is none; one that the key does not need is not used.

    Raises:
        UnreadableKeyError: never with a part of the key in it.
    """
    load = load_ssh_private_key if text.lstrip().startswith(_OPENSSH) else load_pem_private_key
    given = text.strip().encode() + b"\n"
    key: Any = None
    for password in (None, passphrase):
        try:
            key = load(given, None if password is None else password.encode())
            break
        except TypeError:
            # What cryptography raises for an encrypted key without a password.
            if password is not None or passphrase is None:
                raise UnreadableKeyError("is encrypted; give its `passphrase` with it") from None
        except UnsupportedAlgorithm:
            raise UnreadableKeyError(
                "is of a kind, or encrypted in a way, that cannot be read here; make one with ssh-keygen -t ed25519"
            ) from None
        except ValueError:
            why = (
                "is not a private key in OpenSSH's format or PEM"
                if password is None
                else "does not open with its passphrase"
            )
            raise UnreadableKeyError(why) from None
    if not isinstance(key, Key):
        raise UnreadableKeyError(
            "is of a kind that SSH does not use; give an RSA, elliptic-curve or Ed25519 key"
        )
    return key


def unlocked(secrets: Secrets) -> str:
    """The key in OpenSSH's format without a passphrase, which every SSH library reads.

    Args:
        secrets: `private_key`, and `passphrase` when it needs one.

    Raises:
        UnreadableKeyError: the stored key cannot be used.
    """
    passphrase = secrets.get("passphrase")
    key = read_key(secrets["private_key"].reveal(), None if passphrase is None else passphrase.reveal())
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    key, passphrase = text_at(given, "private_key"), text_at(given, "passphrase")
    if passphrase and not key:
        return [FieldError("auth.private_key", "is required with a passphrase: they are checked together")]
    if not key:
        return []
    try:
        read_key(key, passphrase or None)
    except UnreadableKeyError as error:
        return [FieldError("auth.private_key", str(error))]
    return []


MODE = Mode(
    "ssh_key",
    SshKeyAuth,
    secrets=("private_key",),
    optional_secrets=("passphrase",),
    faults=faults,
    any_text=frozenset({"private_key", "passphrase"}),
)
