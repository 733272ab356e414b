"""py-amqp's connection over a guarded socket: it opens none of its own, and reads no frame longer than agreed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.dialled import Verdict
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from hub.integrations.transports.messaging.message import BoundedSocket

_MAX_FRAME_BYTES = 131_072  # what py-amqp agrees to


@lru_cache(maxsize=1)
def connection_class() -> Any:
    """py-amqp's connection, on a socket that is its first argument; made at first use, since it is slow to load."""
    from amqp import Connection  # noqa: PLC0415 - only for who uses it
    from amqp.transport import TCPTransport  # noqa: PLC0415

    class Connected(TCPTransport):  # type: ignore[misc,unused-ignore]
        given: Any

        def _connect(self, host: str, port: int, timeout: float | None) -> None:
            del host, port, timeout
            self.sock = self.given

        def _read(self, n: int, *rest: Any, **options: Any) -> Any:
            if n > _MAX_FRAME_BYTES:
                raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid AMQP.")
            return super()._read(n, *rest, **options)  # type: ignore[misc,unused-ignore]

        def _set_socket_options(self, socket_settings: Any) -> None:
            """Nothing: they are set."""

    class Guarded(Connection):  # type: ignore[misc,unused-ignore]
        def __init__(self, given: BoundedSocket, **options: Any) -> None:
            super().__init__(**options)
            self._given = given

        def Transport(self, host: str, connect_timeout: float | None, *_: Any, **__: Any) -> Any:  # noqa: N802
            transport = Connected(host, connect_timeout=connect_timeout)
            transport.given = self._given
            return transport

    return Guarded
