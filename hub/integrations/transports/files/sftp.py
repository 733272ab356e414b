"""SFTP (draft-ietf-secsh-filexfer-02, what OpenSSH speaks) through paramiko, over a guarded socket.

Promises: a path is used in the form that the server resolved, when that is inside the base directory. Between the look
and the use, whoever can write on the server may change a link there: that is the server's own business. What replaces
a file does so in one step, by OpenSSH's `posix-rename@openssh.com`; on a server without it, what was there is put aside
first, and back when the rest fails. Leaves to others: the connection and its keys (`ssh`).
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from hub.integrations.transports.dialled import Verdict, too_large
from hub.integrations.transports.files.entries import Entry, Kind, fault
from hub.integrations.transports.files.ssh import SshConnection
from hub.net.outcome import ErrorClass, safe_text
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.files.entries import Listing
    from hub.integrations.transports.files.host_keys import HostKeys

#: What OpenSSH gives to one request; a server that gives less is asked again.
_CHUNK_BYTES = 261_120
_REQUESTS_AHEAD = 16


class SftpClient:
    """One connection.

    Args:
        way: where to.
        username: who logs in.
        proofs: `password`, or `private_key` and perhaps `passphrase`.
        host_keys: the pinned ones.
        base: the base directory: absolute, or `~` and what is below the login's home.
    """

    def __init__(
        self, way: Way, username: str, proofs: Mapping[str, Secret], host_keys: HostKeys, base: str
    ) -> None:
        self._way = way
        self._username = username
        self._proofs = proofs
        self._host_keys = host_keys
        self._base = base
        self._ssh: Any = None
        self._sftp: Any = None

    def __enter__(self) -> Self:
        self._ssh = SshConnection(self._way, self._username, self._proofs, self._host_keys)
        try:
            self._sftp = self._ssh.open_sftp()
            with self._asking(""):
                asked = "." if self._base == "~" else self._base.removeprefix("~/") or "/"
                base = str(self._sftp.normalize(asked))
                if not base.startswith("/"):
                    raise Verdict(ErrorClass.PROTOCOL, "The server resolves no paths.")
                self._base = base.rstrip("/")
        except BaseException:
            self._ssh.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ssh.close()

    def list(self, path: str, listing: Listing) -> None:
        """See `Client`."""
        with self._asking(path):
            real = self._inside(path)
            if not stat.S_ISDIR(self._sftp.stat(real).st_mode or 0):
                raise fault("not_a_directory", path)
            found = self._sftp.listdir_iter(real, read_aheads=_REQUESTS_AHEAD)
            with contextlib.closing(found):
                for attributes in found:
                    # Names that are not UTF-8 are shown as well as they can be; no input can say them.
                    name = attributes.filename.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                    if "/" not in name and not listing.add(_entry(f"{path}/{name}".lstrip("/"), attributes)):
                        break

    def stat(self, path: str) -> Entry:
        """See `Client`."""
        with self._asking(path):
            return _entry(path, self._sftp.stat(self._inside(path)))

    def get(self, path: str, max_bytes: int) -> bytes:
        """See `Client`."""
        with self._asking(path):
            real = self._inside(path)
            size = self._size_of_file(real, path)
            if size > max_bytes:
                raise too_large(max_bytes)
            content = bytearray()
            with self._sftp.open(real, "rb") as file:
                file.MAX_REQUEST_SIZE = _CHUNK_BYTES
                while data := file.read(_CHUNK_BYTES):
                    content += data
                    if len(content) > max_bytes:
                        raise too_large(max_bytes)
            return bytes(content)

    def put(self, path: str, content: bytes, *, overwrite: bool, content_type: str | None) -> None:
        """See `Client`."""
        del content_type
        with self._asking(path):
            real = self._inside_new(path)
            self._check_free(real, path, overwrite=overwrite)
            beside = _beside(real)
            try:
                with self._sftp.open(beside, "wbx") as file:
                    file.set_pipelined(True)
                    file.write(content)
                if self._sftp.stat(beside).st_size != len(content):
                    raise fault("failed", path, "it arrived incomplete")
                self._rename(beside, real, path, overwrite=overwrite)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._sftp.remove(beside)
                raise

    def move(self, path: str, to: str, *, overwrite: bool) -> None:
        """See `Client`."""
        with self._asking(path):
            real = self._inside_new(path)
            self._sftp.lstat(real)
        with self._asking(to):
            target = self._inside_new(to)
            if target == real:  # two paths, through a link to a directory
                raise fault("same", to)
            self._check_free(target, to, overwrite=overwrite)
            self._rename(real, target, to, overwrite=overwrite)

    def delete(self, path: str) -> None:
        """See `Client`; of a link, the link."""
        with self._asking(path):
            real = self._inside_new(path)
            if stat.S_ISDIR(self._sftp.lstat(real).st_mode or 0):
                raise fault("is_directory", path)
            self._sftp.remove(real)

    def _inside(self, path: str) -> str:
        """The path of something that exists, with its links resolved."""
        real = str(self._sftp.normalize(f"{self._base}/{path}" if path else self._base or "/"))
        if real.rstrip("/") != self._base and not real.startswith(f"{self._base}/"):
            raise fault("outside", path)
        return real

    def _inside_new(self, path: str) -> str:
        """The path of something whose directory exists; its own last segment is not resolved."""
        if not path:
            raise fault("is_directory", path)
        directory, _, name = path.rpartition("/")
        return f"{self._inside(directory).rstrip('/')}/{name}"

    def _size_of_file(self, real: str, path: str) -> int:
        attributes = self._sftp.stat(real)
        if not stat.S_ISREG(attributes.st_mode or stat.S_IFREG):
            raise fault("is_directory" if stat.S_ISDIR(attributes.st_mode) else "failed", path)
        return int(attributes.st_size or 0)

    def _check_free(self, real: str, path: str, *, overwrite: bool) -> None:
        try:
            there = self._sftp.lstat(real)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(there.st_mode or 0):
            raise fault("is_directory", path)
        if not overwrite:
            raise fault("exists", path)

    def _rename(self, real: str, target: str, path: str, *, overwrite: bool) -> None:
        if not overwrite:
            try:
                # Of this version of the protocol: it fails when the target exists (draft 02, 6.5).
                self._sftp.rename(real, target)
            except OSError as error:
                if error.errno is None and self._ssh.is_active:
                    self._check_free(target, path, overwrite=False)
                raise
            return
        try:
            self._sftp.posix_rename(real, target)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._replace(real, target, path)

    def _replace(self, real: str, target: str, path: str) -> None:
        """For a server without OpenSSH's extension: in steps, the last of which deletes what was there."""
        aside = _beside(target)
        try:
            self._sftp.rename(target, aside)
        except FileNotFoundError:
            self._sftp.rename(real, target)
            return
        try:
            self._sftp.rename(real, target)
        except OSError as error:
            try:
                self._sftp.rename(aside, target)
            except OSError:
                name = aside.rpartition("/")[2]
                raise fault("failed", path, f"{error}; the file that was there is now {name}") from None
            raise
        # It is done; a leftover is no reason to tell otherwise.
        with contextlib.suppress(Exception):
            self._sftp.remove(aside)

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """The server's errors about a path."""
        import paramiko  # noqa: PLC0415

        self._way.trace.phase = Phase.WAIT
        try:
            yield
        except (EOFError, paramiko.SSHException):
            raise ConnectionResetError("closed by the other side") from None
        except paramiko.SFTPError as error:
            raise Verdict(
                ErrorClass.PROTOCOL, f"The answer is not valid SFTP ({safe_text(str(error), 80)})."
            ) from None
        except OSError as error:
            if not self._ssh.is_active:
                raise ConnectionResetError("closed by the other side") from None
            codes = {errno.ENOENT: "not_found", errno.EACCES: "denied"}
            code = codes.get(error.errno or 0, "failed")
            raise fault(code, path, str(error.strerror or error)) from None
        except Verdict:
            raise
        except Exception:  # noqa: BLE001 - paramiko and cryptography raise anything for a stranger's bytes
            if not self._ssh.is_active:
                raise ConnectionResetError("closed by the other side") from None
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid SFTP.") from None


def _beside(real: str) -> str:
    """A name of our own in the same directory."""
    return f"{real.rpartition('/')[0]}/.hub-{secrets.token_hex(8)}"


def _entry(path: str, attributes: Any) -> Entry:
    mode = attributes.st_mode or 0
    kind: Kind = "other"
    if stat.S_ISREG(mode):
        kind = "file"
    elif stat.S_ISDIR(mode):
        kind = "directory"
    elif stat.S_ISLNK(mode):
        kind = "link"
    seconds = attributes.st_mtime
    modified = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return Entry(path, kind, attributes.st_size if kind == "file" else None, modified)
