"""HTTP/1.1 as uvicorn speaks it, with a cap on the head of a request and problems instead of plain text.

httptools collects a header for as long as bytes come, so one connection could fill the memory before any code
of the application runs.
"""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.web.problems import MEDIA_TYPE, Problem

#: Request line and headers together, in bytes; one read of the socket may come on top.
MAX_HEAD_BYTES = 65_536
#: In the lifespan's state: the `asyncio.Event` that ends answers which go on for ever.
ENDING = "ending"


class HubProtocol(HttpToolsProtocol):
    """Refuses what is not HTTP (400) and a head that does not end (431, RFC 6585)."""

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

    def shutdown(self) -> None:
        """The server is about to end: it would wait for streams until its patience is over, and cut them off."""
        if (ending := self.app_state.get(ENDING)) is not None:
            ending.set()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(status, f"The request's headers are over {MAX_HEAD_BYTES} bytes.")

    def send_400_response(self, msg: str) -> None:
        """The parser gave up."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        problem = Problem(
            type=f"/problems/{status.name.lower()}", title=status.phrase, status=status, detail=detail
        )
        body = problem.model_dump_json(exclude_none=True).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
