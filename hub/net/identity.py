"""Who the hub is, and whom it trusts, in the TLS handshakes of one integration.

Promises: a context verifies certificate and name, takes TLS 1.2 or newer, and makes sockets that keep the call's
deadline; a private key is written to no disk where the system has memory files. Leaves to others: reading what a
person gave (`client_certificate`).
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from hub.core.errors import HubError
from hub.net.sockets import TlsContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.net.client_certificate import ClientCertificate

# One with the usual list of authorities takes about a megabyte, and some milliseconds to make.
_KEPT_CONTEXTS = 64


class UnusableIdentity(HubError):
    """The stored client certificate, its key or the authorities cannot be used for TLS; replace them."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Of one integration.

    Args:
        certificate: shown to a server that asks for one (mutual TLS); None shows none.
        ca: trusted certificates (PEM) in place of the usual list; None trusts that list.
    """

    certificate: ClientCertificate | None = None
    ca: bytes | None = None


@lru_cache(maxsize=_KEPT_CONTEXTS)
def context(
    identity: TlsIdentity | None, *, default_ca: str | None, alpn: tuple[str, ...] = ()
) -> TlsContext:
    """The context for client connections of an integration; the same one for the same arguments, so do not change it.

    Args:
        identity: None shows no certificate and trusts the usual list.
        default_ca: file of the usual list, in PEM; the system's when None.
        alpn: protocols to offer (RFC 7301), such as `http/1.1`.

    Raises:
        UnusableIdentity: `client_certificate` lets none such in.
    """
    made = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # A listed certificate is trusted also when it is no root, as libcurl and Python 3.13 have it.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if alpn:
        made.set_alpn_protocols(list(alpn))
    try:
        if identity is not None and identity.ca is not None:
            made.load_verify_locations(cadata=identity.ca.decode("ascii"))
        elif default_ca is not None:
            made.load_verify_locations(default_ca)
        else:
            made.load_default_certs()
        if identity is not None and identity.certificate is not None:
            certificate = identity.certificate
            with _file(certificate.chain + certificate.key.reveal().encode()) as path:
                made.load_cert_chain(path)
    except (ssl.SSLError, ValueError):
        raise UnusableIdentity(
            "The stored client certificate, its key or the authorities cannot be used for TLS; replace them."
        ) from None
    return made


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A file for OpenSSL, which loads a key from nowhere else: in memory (memfd_create(2)), or private and brief."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - not worth a Path
        descriptor, path = os.memfd_create("hub-tls"), ""
    else:
        descriptor, path = tempfile.mkstemp(prefix="hub-tls-")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield path or f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
        if path:
            os.unlink(path)  # noqa: PTH108
