from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.net.client_certificate import MAX_CHARACTERS, ClientCertificate, PrivateKey, check_authorities

NOW = dt.datetime(2030, 5, 1, tzinfo=dt.UTC)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
PASSWORD = BestAvailableEncryption(b"canary")


def _certificate(key: PrivateKey, *, name: str = "sender", starts: int = -10, ends: int = 10) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + dt.timedelta(days=starts))
        .not_valid_after(NOW + dt.timedelta(days=ends))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def _pem(key: PrivateKey | x25519.X25519PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())


def _fault(cert: str, key: Secret) -> tuple[str, str]:
    with pytest.raises(Invalid) as caught:
        ClientCertificate.parse(cert, key, now=NOW, field="mtls")
    [fault] = caught.value.fields
    assert "canary" not in caught.value.detail
    return fault.path, fault.message


@pytest.mark.parametrize(
    "key",
    [EC, rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()],
    ids=["elliptic curve", "RSA", "Ed25519"],
)
def test_a_certificate_and_its_key_are_taken(key: PrivateKey) -> None:
    taken = ClientCertificate.parse(_certificate(key), _pem(key), now=NOW)
    assert taken.subject == "CN=sender"
    assert taken.expires_at == NOW + dt.timedelta(days=10)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_both_spellings_of_a_key_are_taken(form: PrivateFormat) -> None:
    assert ClientCertificate.parse(_certificate(EC), _pem(EC, form), now=NOW).chain.isascii()


def test_a_chain_is_kept_whole_and_what_stands_around_it_is_not() -> None:
    chain = f"subject=canary\n{_certificate(EC)}\nbag attributes\n{_certificate(OTHER, name='issuer')}"
    taken = ClientCertificate.parse(chain, _pem(EC), now=NOW)
    assert taken.chain.count(b"BEGIN CERTIFICATE") == 2
    assert b"canary" not in taken.chain


def test_the_key_is_in_no_repr() -> None:
    assert "PRIVATE" not in repr(ClientCertificate.parse(_certificate(EC), _pem(EC), now=NOW))


@pytest.mark.parametrize(
    ("cert", "path", "says"),
    [
        ("canary", "mtls.certificate", "not PEM"),
        ("", "mtls.certificate", "not PEM"),
        ("x" * (MAX_CHARACTERS + 1), "mtls.certificate", "longer than"),
        (
            "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n",
            "mtls.certificate",
            "not PEM",
        ),
        (_certificate(EC, ends=-3), "mtls.certificate", "expired on 2030-04-28"),
        (_certificate(EC, starts=2), "mtls.certificate", "not valid before 2030-05-03 00:00 UTC"),
        (_certificate(EC) * 11, "mtls.certificate", "11 certificates"),
        (_certificate(EC) + _pem(EC).reveal(), "mtls.certificate", "holds a private key"),
        (_certificate(OTHER), "mtls.key", "does not belong"),
        (_certificate(OTHER) + _certificate(EC), "mtls.key", "put that one first"),
    ],
    ids=[
        "no PEM",
        "empty",
        "huge",
        "no certificate inside",
        "expired",
        "not yet",
        "many",
        "with a key",
        "of another key",
        "wrong order",
    ],
)
def test_a_bad_certificate_is_refused_with_what_is_wrong(cert: str, path: str, says: str) -> None:
    at, message = _fault(cert, _pem(EC))
    assert at == path
    assert says in message


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (Secret("canary"), "not a private key in PEM"),
        (Secret(""), "not a private key in PEM"),
        (Secret("x" * (MAX_CHARACTERS + 1)), "longer than"),
        (Secret(EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PASSWORD).decode()), "is encrypted"),
        (
            Secret(EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PASSWORD).decode()),
            "is encrypted",
        ),
        (_pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505 - that is the point
        (_pem(x25519.X25519PrivateKey.generate()), "of a kind that TLS cannot use"),
        (Secret("\udcff"), "not a private key in PEM"),
    ],
    ids=[
        "no PEM",
        "empty",
        "huge",
        "encrypted",
        "encrypted the old way",
        "short",
        "no signing key",
        "surrogate",
    ],
)
def test_a_bad_key_is_refused_with_what_is_wrong(key: Secret, says: str) -> None:
    at, message = _fault(_certificate(EC), key)
    assert at == "mtls.key"
    assert says in message


def test_private_authorities_are_checked() -> None:
    assert check_authorities(_certificate(EC) + _certificate(OTHER), now=NOW).count(b"BEGIN") == 2
    for bad in ("canary", "", _certificate(EC, ends=-1)):
        with pytest.raises(Invalid) as caught:
            check_authorities(bad, now=NOW, field="ca")
        assert [fault.path for fault in caught.value.fields] == ["ca"]
