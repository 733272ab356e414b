"""The trace context of a call whose credentials travel inside of its messages.

The pipeline sends the trace context on by the object that authenticates. Where the credentials are in a SOAP header or
in the first message of a WebSocket, that object must not touch the request, but the trace shall not end there.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from hub.net.signed import NotSignedError, signed

if TYPE_CHECKING:
    from hub.net.session import Auth

_NAME = "traceparent"
# W3C Trace Context, 3.2.2.
_FORM = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class TraceAlone:
    """Of all that an authentication object adds to a request, the trace context and nothing else.

    Args:
        http: the object; it signs a request that is thrown away. None adds nothing.
    """

    def __init__(self, http: Auth | None) -> None:
        self._http = http

    def __call__(self, request: Any) -> Any:
        """Add the header to a prepared request; its own goes before."""
        with contextlib.suppress(NotSignedError):
            for name, value in signed("GET", request.url, {}, self._http).headers.items():
                if name.lower() == _NAME and _FORM.fullmatch(value):
                    request.headers.setdefault(_NAME, value)
        return request
