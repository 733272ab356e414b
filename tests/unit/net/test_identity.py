from __future__ import annotations

import datetime as dt
import os
import ssl
import tempfile
from pathlib import Path

import pytest

from hub.core.secret import Secret
from hub.net.client_certificate import ClientCertificate
from hub.net.identity import TlsIdentity, UnusableIdentity, context
from tests.integration.net.hostile import client_identity

NOW = dt.datetime.now(dt.UTC)


def _certificate(name: str) -> ClientCertificate:
    return ClientCertificate.parse(*client_identity(name), now=NOW)


def test_equal_identities_share_one_context_and_others_do_not() -> None:
    alice, bob = _certificate("alice"), _certificate("bob")
    made = context(TlsIdentity(alice), default_ca=None)
    assert context(TlsIdentity(ClientCertificate(alice.chain, alice.key)), default_ca=None) is made
    others = [
        context(None, default_ca=None),
        context(TlsIdentity(bob), default_ca=None),
        context(TlsIdentity(alice, ca=alice.chain), default_ca=None),
        context(TlsIdentity(alice), default_ca=None, alpn=("h2",)),
    ]
    assert len({id(one) for one in [made, *others]}) == 5


def test_a_context_always_checks_certificate_and_name_and_takes_no_old_tls() -> None:
    for made in (
        context(None, default_ca=None),
        context(TlsIdentity(ca=_certificate("a").chain), default_ca=None),
    ):
        assert made.verify_mode is ssl.CERT_REQUIRED
        assert made.check_hostname
        assert made.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_an_own_list_of_authorities_replaces_the_usual_one() -> None:
    made = context(TlsIdentity(ca=_certificate("authority").chain), default_ca=None)
    assert [one["subject"] for one in made.get_ca_certs()] == [((("commonName", "authority"),),)]


@pytest.mark.parametrize("memory_files", [True, False])
def test_the_private_key_is_in_no_file_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, memory_files: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    modes: list[int] = []
    if not memory_files:
        monkeypatch.delattr(os, "memfd_create", raising=False)
        load = ssl.SSLContext.load_cert_chain

        def seen(self: ssl.SSLContext, path: str) -> None:
            modes.append(Path(path).stat().st_mode & 0o777)
            load(self, path)

        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", seen)
    descriptors = len(list(Path("/dev/fd").iterdir()))
    context(TlsIdentity(_certificate("alice")), default_ca=None)
    assert list(tmp_path.iterdir()) == []
    assert modes == ([] if memory_files else [0o600])
    assert len(list(Path("/dev/fd").iterdir())) == descriptors


def test_what_is_stored_and_cannot_be_used_is_an_error_without_the_key() -> None:
    alice, bob = _certificate("alice"), _certificate("bob")
    for identity in (TlsIdentity(ClientCertificate(alice.chain, bob.key)), TlsIdentity(ca=b"none")):
        with pytest.raises(UnusableIdentity) as caught:
            context(identity, default_ca=None)
        assert "PRIVATE" not in str(caught.value)
        assert not isinstance(caught.value, OSError)


def test_an_identity_does_not_show_its_key() -> None:
    identity = TlsIdentity(ClientCertificate(b"", Secret("canary-key")))
    assert "canary" not in repr(identity)
