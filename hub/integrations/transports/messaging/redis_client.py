"""Redis and Valkey (RESP 2, https://redis.io/docs/latest/develop/reference/protocol-spec/) over a guarded socket.

Why not kombu or redis-py: both open connections inside (kombu from pools of the whole process), resolve the name again,
and read a reply of any length; neither takes a socket. What is needed of the protocol is these few replies.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.dialled import Verdict, too_large
from hub.integrations.transports.messaging.message import write
from hub.net.outcome import ErrorClass
from hub.net.sockets import is_quiet
from hub.net.trace import Phase

if TYPE_CHECKING:
    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.messaging.tasks import Task
    from hub.net.sockets import PlainSocket

PORT = 6379

_MAX_LINE = 65_536
_MAX_DEPTH = 8
_BUSY = frozenset(
    {"LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "OOM", "READONLY", "NOREPLICAS", "MISCONF"}
)
_REFUSED = frozenset({"WRONGPASS", "NOAUTH"})


class RedisSession:
    """One connection, logged in.

    Args:
        sock: connected, and secured when it is to be.
    """

    def __init__(self, sock: PlainSocket) -> None:
        self.sock = sock
        self._stream = sock.makefile("rb")
        self._max_bytes = self._room = _MAX_LINE

    @classmethod
    def open(
        cls, way: Way, username: str, password: Secret | None, database: int, max_bytes: int
    ) -> RedisSession:
        """Connect, log in, choose the database."""
        sock = way.dial()
        session = cls(way.wrap_socket(sock) if way.context is not None else sock)
        way.trace.phase = Phase.WAIT
        try:
            if password is not None:
                login = (username, password.reveal()) if username else (password.reveal(),)
                session.ask("AUTH", *login, max_bytes=max_bytes)
            if database:
                session.ask("SELECT", database, max_bytes=max_bytes)
        except BaseException:
            session.close()
            raise
        return session

    @property
    def reusable(self) -> bool:
        """Open, idle and in step."""
        return self.sock.fileno() >= 0 and is_quiet(self.sock)

    def close(self) -> None:
        """Close it; never raises."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self.sock.close()

    def check(self, max_bytes: int) -> None:
        """Prove that it is of use."""
        self.ask("PING", max_bytes=max_bytes)

    def ask(self, *command: str | bytes | int, max_bytes: int) -> Any:
        """One command and its reply.

        Raises:
            Verdict: the server's error, or its reply is too long or none.
            OSError: the connection.
        """
        parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
        request = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self.sock.sendall(b"*%d\r\n%s" % (len(parts), request))
        self._max_bytes, self._room = max_bytes, max_bytes * 2 + _MAX_LINE
        try:
            return self._reply(0)
        except ValueError:
            raise _garbled() from None

    def _reply(self, depth: int) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise _error(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        size = int(rest) if kind in {b"$", b"*"} else -2
        if size == -1:
            return None
        if kind == b"$" and size >= 0:
            return self._bytes(size)
        if kind == b"*" and size >= 0 and depth < _MAX_DEPTH:
            self._take(size)
            return [self._reply(depth + 1) for _ in range(size)]
        raise _garbled()

    def _line(self) -> bytes:
        line = self._stream.readline(_MAX_LINE)
        self._take(len(line))
        if not line:
            raise ConnectionResetError("closed by the other side")
        if not line.endswith(b"\r\n"):
            raise _garbled()
        return line[:-2]

    def _bytes(self, size: int) -> bytes:
        self._take(size)
        data = self._stream.read(size + 2)
        if len(data) < size + 2:
            raise ConnectionResetError("closed by the other side")
        return data[:-2]

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise too_large(self._max_bytes)


def publish(session: RedisSession, task: Task, max_bytes: int) -> bytes:
    """Add to a stream or a list, or tell a channel."""
    form, message = task.form, task.message
    if form.stream is not None:
        fields = message.fields
        if fields is None:
            kind = {"content_type": message.content_type} if message.content_type else {}
            fields = {**message.headers, **kind}
        flat: list[str | bytes] = [text for pair in fields.items() for text in pair]
        if message.fields is None:
            flat += ["body", message.body]
        trim = ("MAXLEN", "~", form.max_length) if form.max_length else ()
        entry = session.ask("XADD", task.place, *trim, "*", *flat, max_bytes=max_bytes)
        return write({"id": text_of(entry)})
    if form.list is not None:
        return write({"length": session.ask("RPUSH", task.place, message.body, max_bytes=max_bytes)})
    return write({"receivers": session.ask("PUBLISH", task.place, message.body, max_bytes=max_bytes)})


def text_of(value: bytes) -> str:
    """A reply as text, whatever its bytes are."""
    return value.decode("utf-8", "replace")


def _error(said: str) -> Verdict:
    code = said.partition(" ")[0]
    if code in _REFUSED or said.startswith("ERR AUTH") or "invalid password" in said:
        return Verdict(ErrorClass.UNAUTHORIZED, f"The server refused the login ({code}).")
    error_class = ErrorClass.PROVIDER_BUSY if code in _BUSY else ErrorClass.PROVIDER_ERROR
    return Verdict(
        error_class,
        f"Redis: {said.rstrip('.')}.",
        headers={"redis-error": code},
        details={"code": code, "message": said},
    )


def _garbled() -> Verdict:
    return Verdict(ErrorClass.PROTOCOL, "The answer is not valid Redis.")
