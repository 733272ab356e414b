"""Who the hub is, and whom it trusts, in the TLS handshakes of one integration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.net.client_certificate import ClientCertificate


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Of one integration.

    Args:
        certificate: shown to a server that asks for one (mutual TLS); None shows none.
        ca: trusted certificates (PEM) in place of the usual list; None trusts that list.
    """

    certificate: ClientCertificate | None = None
    ca: bytes | None = None
