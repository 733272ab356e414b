from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from hub.core.secret import Secret
from hub.integrations.auth.registry import MODES
from hub.integrations.auth.ssh_key import UnreadableKeyError, unlocked
from tests.unit.integrations.auth.requests_in_hand import faults

KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
AUTH = {"mode": "ssh_key", "username": "ann"}
PASSPHRASE = "ein Schlüsselwort"


def written(key: Any, form: PrivateFormat, passphrase: str | None = None) -> str:
    how: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        how = BestAvailableEncryption(passphrase.encode())
    text: bytes = key.private_bytes(Encoding.PEM, form, how)
    return text.decode()


def numbers(key: Any) -> Any:
    return key.public_key().public_bytes_raw() if hasattr(key, "private_bytes_raw") else key.private_numbers()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, form) for name in KEYS for form in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8)),
        *((name, PrivateFormat.TraditionalOpenSSL) for name in ("rsa", "ec")),
    ],
)
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE], ids=["open", "locked"])
def test_keys_of_every_kind_are_read_and_unlocked(
    name: str, form: PrivateFormat, passphrase: str | None
) -> None:
    text = written(KEYS[name], form, passphrase)
    given = {**AUTH, "private_key": text} | ({} if passphrase is None else {"passphrase": passphrase})
    assert faults(given) == {}
    secrets = {"private_key": Secret(text)} | (
        {} if passphrase is None else {"passphrase": Secret(passphrase)}
    )
    found = load_ssh_private_key(unlocked(secrets).encode(), None)
    assert numbers(found) == numbers(KEYS[name])


def test_a_passphrase_that_is_not_needed_does_no_harm() -> None:
    text = written(KEYS["ed25519"], PrivateFormat.OpenSSH)
    assert faults({**AUTH, "private_key": text, "passphrase": "left over"}) == {}
    assert unlocked({"private_key": Secret(text), "passphrase": Secret("left over")})


def test_spaces_around_a_pasted_key_do_no_harm() -> None:
    text = written(KEYS["ed25519"], PrivateFormat.OpenSSH)
    assert faults({**AUTH, "private_key": f"\n  {text.strip()}\n\n"}) == {}


LOCKED = written(KEYS["rsa"], PrivateFormat.OpenSSH, "right")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"private_key": "junk"}, "is not a private key"),
        ({"private_key": LOCKED[:200]}, "is not a private key"),
        ({"private_key": LOCKED}, "give its `passphrase`"),
        ({"private_key": LOCKED, "passphrase": "wrong"}, "does not open"),
        ({"private_key": written(KEYS["ec"], PrivateFormat.PKCS8, "right")}, "give its `passphrase`"),
        ({"private_key": written(ed448.Ed448PrivateKey.generate(), PrivateFormat.PKCS8)}, "of a kind"),
        ({"private_key": written(x25519.X25519PrivateKey.generate(), PrivateFormat.PKCS8)}, "of a kind"),
        ({"passphrase": "alone"}, "is required with a passphrase"),
    ],
    ids=[
        "junk",
        "cut off",
        "locked",
        "wrong passphrase",
        "locked PKCS 8",
        "Ed448",
        "X25519",
        "passphrase alone",
    ],
)
def test_what_cannot_be_used_is_refused_without_a_part_of_it(more: dict[str, str], text: str) -> None:
    found = faults({**AUTH, **more})
    assert list(found) == ["auth.private_key"]
    assert text in found["auth.private_key"]
    assert "wrong" not in found["auth.private_key"]


def test_a_stored_key_that_broke_is_told() -> None:
    with pytest.raises(UnreadableKeyError):
        unlocked({"private_key": Secret(LOCKED)})


def test_an_update_may_leave_the_key_as_it_is() -> None:
    assert faults(AUTH) == {}
    assert "auth.username" in faults({**AUTH, "username": ""})


def test_it_has_no_form_in_http() -> None:
    assert MODES["ssh_key"].sign is None
