"""Nothing but the client certificate of the TLS handshake proves who calls (RFC 8446, 4.4.2)."""

from __future__ import annotations

from typing import Literal

from hub.integrations.auth.mode import Mode
from hub.integrations.forms import Form


class MtlsAuth(Form):
    """The client certificate in the integration's `tls` proves who calls; requests carry nothing more."""

    mode: Literal["mtls"]


MODE = Mode("mtls", MtlsAuth)
