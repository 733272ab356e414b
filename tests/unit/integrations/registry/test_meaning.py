from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.core.errors import Invalid
from hub.integrations.registry.definition import (
    Definition,
    Stored,
    check_create,
    check_update,
    draft_create,
    draft_update,
)
from hub.net.policy import AddressPolicy

POLICY = AddressPolicy(allow=["127.0.0.0/8"], ports=[0])
GOOD: dict[str, Any] = {"name": "crm", "base_url": "http://127.0.0.1:8080"}
OAUTH = {
    "mode": "oauth2",
    "grant": "client_credentials",
    "token_url": "http://127.0.0.1:9/token",
    "client_id": "hub",
}
TEMPLATE = {"mode": "template", "headers": {"X-A": "{{ one }}"}}


def create(**fields: Any) -> Definition:
    return check_create(draft_create({**GOOD, **fields}), POLICY)


def stored(**fields: Any) -> Stored:
    """What `create` makes of it."""
    made = create(**fields)
    return Stored({**GOOD, **made.columns}, made.needs or ())


def change(now: Stored, **changes: Any) -> Definition:
    return check_update(draft_update(changes), POLICY, now)


def faults(now: Stored | None = None, **fields: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        create(**fields) if now is None else change(now, **fields)
    return {fault.path: fault.message for fault in caught.value.fields}


def test_an_optional_secret_that_this_instance_needs_must_be_there() -> None:
    assert faults(auth=OAUTH) == {"auth.client_secret": "is required"}
    assert create(auth={**OAUTH, "client_auth": "none"}).needs == frozenset()
    assert create(auth={**OAUTH, "client_secret": "s3cret-s3cret"}).needs == frozenset({"client_secret"})


def test_a_null_takes_an_optional_secret_away_and_silence_keeps_it() -> None:
    now = stored(auth={**OAUTH, "client_secret": "s3cret-s3cret", "private_key": "k"})
    assert change(now, auth=OAUTH).needs == frozenset({"client_secret", "private_key"})
    assert change(now, auth={**OAUTH, "private_key": None}).needs == frozenset({"client_secret"})
    # One that must be there stays, as if nothing had been said.
    assert change(now, auth={**OAUTH, "client_secret": None}).needs == frozenset(
        {"client_secret", "private_key"}
    )
    both = change(now, auth={**OAUTH, "client_auth": "none", "client_secret": None, "private_key": None})
    assert both.needs == frozenset()


def test_the_names_of_secrets_that_a_definition_names_are_part_of_it() -> None:
    now = stored(auth={**TEMPLATE, "secrets": {"one": "s3cret-s3cret"}})
    assert now.document["auth"]["secrets"] == {"one": None}
    assert change(now, tls={"ca": None}).needs == frozenset({"secrets.one"})
    assert change(now, auth=now.document["auth"]).needs == frozenset({"secrets.one"})
    assert faults(now, auth={**TEMPLATE, "headers": {"X-A": "{{ one }}{{ two }}"}, "secrets": {"one": None, "two": None}}) == {
        "auth.secrets.two": "is required"
    }  # fmt: skip


def test_what_is_fixed_is_told_apart_from_what_is_unknown() -> None:
    told = faults(stored(), type="database", protocol="custom", colour=1)
    assert told["colour"] == "is not a known field"
    assert told["type"] == "cannot change; it is api. Make another integration, or leave it out"
    assert told["protocol"].startswith("cannot change; it is rest.")


def certificate(key: ec.EllipticCurvePrivateKey, serial: int, *, ago: int = 0) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC) - timedelta(days=ago)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def test_a_certificate_is_renewed_with_its_key_and_another_one_brings_its_own() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    now = stored(tls={"certificate": certificate(key, 1), "key": pem}, auth={"mode": "mtls"})
    assert change(now, tls={"certificate": certificate(key, 2)}).needs == frozenset({"tls.key"})
    assert change(now, auth={"mode": "none"}).needs == frozenset({"tls.key"})
    # A renewed chain is judged as the first one was: it is shown to everybody.
    assert (
        "holds a private key"
        in faults(now, tls={"certificate": certificate(key, 2) + pem})["tls.certificate"]
    )
    assert "expired" in faults(now, tls={"certificate": certificate(key, 2, ago=3)})["tls.certificate"]
    noted = change(now, tls={"certificate": "Note\n" + certificate(key, 2)})
    assert noted.columns["tls"]["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert faults(now, tls={"certificate": certificate(other, 3)}) == {
        "tls.key": "is required with a certificate"
    }
    assert "tls.key" in faults(now, tls={"certificate": certificate(other, 3), "key": pem})
    assert faults(now, tls=None) == {"tls.certificate": "is required by the mode mtls"}
    assert change(now, tls=None, auth={"mode": "none"}).needs == frozenset()


def test_operations_are_not_changed_where_their_transport_is_missing() -> None:
    custom = {"type": "api", "protocol": "custom", "settings": {"transport": "of-a-package-that-is-gone"}}
    now = Stored({**GOOD, **create().columns, **custom}, ())
    assert "settings.transport" in faults(now, operations={"a": {"path": "/a"}})


def test_a_time_is_stored_as_it_will_be_read() -> None:
    assert create(timeout_seconds=0.12345).columns["timeout_seconds"] == 0.123
    assert create(timeout_seconds=30).columns["timeout_seconds"] == 30.0
