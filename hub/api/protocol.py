"""HTTP/1.1 as uvicorn speaks it, with a cap on the head of a request.

httptools collects a header for as long as bytes come, so one connection could fill the memory before any code
of the application runs.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.web.problems import MEDIA_TYPE, Problem

#: Request line and headers together, in bytes; one read of the socket may come on top.
MAX_HEAD_BYTES = 65_536

_BODY = (
    Problem(
        type="/problems/request_header_fields_too_large",
        title="Request header fields too large",
        status=431,
        detail=f"The request's headers are over {MAX_HEAD_BYTES} bytes.",
    )
    .model_dump_json(exclude_none=True)
    .encode()
)
_REFUSAL = (
    f"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: {MEDIA_TYPE}\r\n"
    f"content-length: {len(_BODY)}\r\nconnection: close\r\n\r\n"
).encode() + _BODY


class BoundedHeadProtocol(HttpToolsProtocol):
    """Refuses a request (431, RFC 6585) whose head does not end."""

    _in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head has ended."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_REFUSAL)
                self.transport.close()
