"""FTP over TLS (RFC 959, RFC 4217, RFC 3659) through ftplib, over guarded sockets.

Promises: the login and every file go through TLS; data connections are passive and go to the very address of the
control connection, whatever address the server names; answers and listings are bounded. Paths are checked as texts
only: FTP has no way to ask where a link leads.
"""

from __future__ import annotations

import contextlib
import ftplib
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from hub.integrations.transports.dialled import Verdict, too_large
from hub.integrations.transports.files.entries import Entry, Kind, fault
from hub.net.dial import dial
from hub.net.outcome import ErrorClass, safe_text
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.files.entries import Listing
    from hub.net.sockets import PlainSocket

MAX_CONTROL_CHARACTERS = 1_048_576
_MAX_LINE_BYTES = 8192
_CHUNK_BYTES = 65_536
_GOODBYE_SECONDS = 5.0
_UNKNOWN_COMMAND = frozenset({"500", "501", "502", "504"})
_BUSY = frozenset({"421", "425", "426", "450", "451"})
_NO_SPACE = frozenset({"452", "552"})
_KINDS: dict[str, Kind] = {"file": "file", "dir": "directory"}
_MISSING = re.compile(r"no such|not found|not exist|cannot find|not retrievable", re.IGNORECASE)
_DENIED = re.compile(r"denied|permission|privilege|not allowed|not permitted", re.IGNORECASE)


class _Ftp(ftplib.FTP):
    """ftplib on the way of one call, which does the handshakes that `FTP_TLS` would do with a context."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._heard = 0
        self.host = way.host

    def open(self, *, implicit: bool) -> None:
        """Connect, and have TLS before anything is said."""
        sock = self._way.dial()
        self.sock = sock
        self.af = sock.family
        if implicit:
            self._secure(sock)
        self._listen()
        self.welcome = self.getresp()
        if not implicit:
            with _securing():
                self.voidcmd("AUTH TLS")
                self._secure(sock)
            self._listen()

    def protect(self) -> None:
        """Have TLS on data connections too (RFC 4217, 9)."""
        self.voidcmd("PBSZ 0")
        self.voidcmd("PROT P")

    def _secure(self, sock: PlainSocket) -> None:
        self.sock = self._way.wrap_socket(sock)

    def _listen(self) -> None:
        """Read from the connection as it is now; what was said before it was secured and not read is forgotten."""
        assert self.sock is not None
        # What servers say to people may be in any encoding (RFC 2640, 2.1 is about names alone).
        self.file = self.sock.makefile("r", encoding=self.encoding, errors="replace")
        self._way.trace.phase = Phase.WAIT

    def getline(self) -> str:
        """One line; all of them together are bounded."""
        line = super().getline()
        self._heard += len(line)
        if self._heard > MAX_CONTROL_CHARACTERS:
            raise ftplib.error_proto("too many answers")  # noqa: S321 - an exception
        return line

    def makepasv(self) -> tuple[str, int]:
        """Where the data connection goes: the port that the server names, at the address where it is."""
        assert self.sock is not None
        peer = str(self.sock.getpeername()[0])
        return peer, super().makepasv()[1]

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[Any, int | None]:
        """A protected data connection, for a command that goes out on the other one."""
        del rest
        way = self._way
        host, port = self.makepasv()
        conn: Any = dial(
            way.policy,
            host,
            port,
            deadline=way.deadline,
            usual_ports=(port,),
            cancellation=way.cancellation,
        )
        try:
            answer = self.sendcmd(cmd)
            if answer[0] == "2":
                answer = self.getresp()
            if answer[0] != "1":
                raise ftplib.error_reply(answer)  # noqa: S321 - an exception
            assert way.context is not None
            control: Any = self.sock
            # Servers may want to see that both connections have one origin.
            conn = way.context.wrap_socket(conn, server_hostname=way.host, session=control.session)
        except BaseException:
            conn.close()
            raise
        return conn, None


class FtpsClient:
    """One connection.

    Args:
        way: where to.
        username: on the server.
        password: of that user.
        base: the base directory, absolute.
        implicit: TLS begins with the connection.
    """

    def __init__(self, way: Way, username: str, password: Secret, base: str, *, implicit: bool) -> None:
        self._way = way
        self._username = username
        self._password = password
        self._base = base.rstrip("/")
        self._implicit = implicit
        self._ftp = _Ftp(way)

    def __enter__(self) -> Self:
        texts = self._username + self._password.reveal()
        if not self._username or "\r" in texts or "\n" in texts or "\0" in texts:
            raise Verdict(
                ErrorClass.UNAUTHORIZED, "This login cannot be sent: it is empty or has line breaks."
            )
        try:
            with self._asking(""):
                self._ftp.open(implicit=self._implicit)
                self._ftp.login(self._username, self._password.reveal())
                with _securing():
                    self._ftp.protect()
                with contextlib.suppress(ftplib.error_perm):
                    self._ftp.sendcmd("OPTS UTF8 ON")
                self._ftp.voidcmd("TYPE I")
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def list(self, path: str, listing: Listing) -> None:
        """See `Client`. A server without MLSD says names only."""
        with self._asking(path):
            try:
                lines, facts = self._lines(f"MLSD {self._at(path)}"), True
                first = next(lines, None)
            except ftplib.error_perm as error:
                if str(error)[:3] not in _UNKNOWN_COMMAND:
                    raise
                lines, facts = self._lines(f"NLST {self._at(path)}"), False
                first = next(lines, None)
            with contextlib.closing(lines):
                while first is not None:
                    entry = _listed(first, path, facts=facts)
                    if entry is not None and not listing.add(entry):
                        break
                    first = next(lines, None)

    def stat(self, path: str) -> Entry:
        """See `Client`."""
        with self._asking(path):
            found = self._find(path)
            if found is None:
                raise fault("not_found", path)
            return found

    def get(self, path: str, max_bytes: int) -> bytes:
        """See `Client`."""
        with self._asking(path):
            conn = self._ftp.transfercmd(f"RETR {self._at(path)}")
            content = bytearray()
            with conn:
                while data := conn.recv(_CHUNK_BYTES):
                    content += data
                    if len(content) > max_bytes:
                        raise too_large(max_bytes)
            # Without this answer the end of the data may be the end of the connection.
            self._ftp.voidresp()
            return bytes(content)

    def put(self, path: str, content: bytes, *, overwrite: bool, content_type: str | None) -> None:
        """See `Client`. FTP cannot refuse to replace, so `overwrite: false` looks first."""
        del content_type
        with self._asking(path):
            self._check_free(path, overwrite=overwrite)
            directory, _, _ = path.rpartition("/")
            beside = self._at(f"{directory}/.hub-{secrets.token_hex(8)}".lstrip("/"))
            try:
                conn: Any = self._ftp.transfercmd(f"STOR {beside}")
                with conn:
                    conn.sendall(content)
                    with contextlib.suppress(OSError):
                        # Some servers say no goodbye before the connection ends: time must be left for that end.
                        conn.settimeout(min(_GOODBYE_SECONDS, self._way.deadline.remaining() / 2))
                        conn.unwrap()
                self._ftp.voidresp()
                self._check_whole(beside, path, len(content))
                self._rename(beside, self._at(path))
            except BaseException:
                with contextlib.suppress(Exception):
                    self._ftp.delete(beside)
                raise

    def move(self, path: str, to: str, *, overwrite: bool) -> None:
        """See `Client`; as for `put`, it looks first."""
        with self._asking(to):
            self._check_free(to, overwrite=overwrite)
        with self._asking(path):
            self._rename(self._at(path), self._at(to))

    def delete(self, path: str) -> None:
        """See `Client`."""
        with self._asking(path):
            self._ftp.delete(self._at(path))

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base or "/"

    def _rename(self, real: str, target: str) -> None:
        self._ftp.rename(real, target)

    def _check_free(self, path: str, *, overwrite: bool) -> None:
        there = self._find(path)
        if there is not None and there.kind == "directory":
            raise fault("is_directory", path)
        if there is not None and not overwrite:
            raise fault("exists", path)

    def _check_whole(self, real: str, path: str, size: int) -> None:
        try:
            stored = self._ftp.size(real)
        except ftplib.error_perm:  # it does not say
            return
        if stored != size:
            raise fault("failed", path, "it arrived incomplete")

    def _find(self, path: str) -> Entry | None:
        try:
            for line in self._ftp.sendcmd(f"MLST {self._at(path)}").split("\n")[1:]:
                if line.startswith(" "):
                    return _of_facts(line[1:].partition(" ")[0], path)
        except ftplib.error_perm as error:
            if str(error)[:3] not in _UNKNOWN_COMMAND:
                return None
        else:
            raise ftplib.error_proto("no facts")  # noqa: S321 - an exception
        try:
            size = self._ftp.size(self._at(path))
        except ftplib.error_perm:
            return None
        return Entry(path, "file", size)

    def _lines(self, command: str) -> Generator[str]:
        """The lines of a listing, read as they are wanted."""
        conn = self._ftp.transfercmd(command)
        with conn, conn.makefile("rb") as stream:
            while line := stream.readline(_MAX_LINE_BYTES):
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        self._ftp.voidresp()

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Ftplib's errors as verdicts."""
        try:
            yield
        except EOFError:
            raise ConnectionResetError("closed by the other side") from None
        except (ftplib.error_perm, ftplib.error_temp) as error:
            raise _verdict(str(error), path) from None
        except OSError:  # a certificate that is not valid is a ValueError too
            raise
        except (ftplib.Error, ValueError, IndexError, AttributeError):
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid FTP.") from None

    def _close(self) -> None:
        """End it at once; a goodbye would wait for the server."""
        sock: Any = self._ftp.sock
        if sock is not None:
            sock.end()
        with contextlib.suppress(OSError):
            self._ftp.close()


@contextlib.contextmanager
def _securing() -> Iterator[None]:
    """A server that refuses TLS, for which RFC 4217 has codes that mean other things elsewhere."""
    try:
        yield
    except (ftplib.error_perm, ftplib.error_temp) as error:
        if str(error)[:3] in _BUSY:
            raise
        text = safe_text(str(error), 150).rstrip(".")
        raise Verdict(ErrorClass.TLS, f"The server offers no TLS here ({text}).") from None


def _verdict(said: str, path: str) -> Verdict:
    code, text = said[:3], safe_text(said, 150).rstrip(".")
    if code in {"530", "532", "430", "534", "332"}:
        return Verdict(ErrorClass.UNAUTHORIZED, f"The server refused the login ({text}).")
    if code in _BUSY:
        return Verdict(ErrorClass.PROVIDER_BUSY, f"The server could not do it now ({text}).")
    if code in _NO_SPACE:
        return fault("no_space", path, said)
    if code == "553" or _DENIED.search(said):
        return fault("denied", path, said)
    return fault("not_found" if _MISSING.search(said) else "failed", path, said)


def _listed(line: str, directory: str, *, facts: bool) -> Entry | None:
    said, _, name = line.partition(" ") if facts else ("", "", line.rpartition("/")[2])
    if (
        not name
        or "/" in name
        or name in {".", ".."}
        or "type=cdir" in said.lower()
        or "type=pdir" in said.lower()
    ):
        return None
    path = f"{directory}/{name}".lstrip("/")
    return _of_facts(said, path) if facts else Entry(path)


def _of_facts(said: str, path: str) -> Entry:
    """The facts of RFC 3659, 7.5."""
    facts = dict(fact.lower().split("=", 1) for fact in said.split(";") if "=" in fact)
    kind = _KINDS.get(facts.get("type", ""), "link" if "slink" in facts.get("type", "") else "other")
    size = facts.get("size", "")
    modified = None
    with contextlib.suppress(ValueError):
        modified = datetime.strptime(facts.get("modify", "")[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return Entry(path, kind, int(size) if kind == "file" and size.isdigit() else None, modified)
