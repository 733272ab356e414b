"""SFTP (draft-ietf-secsh-filexfer-02, what OpenSSH speaks) through paramiko, over a guarded socket.

Promises: the server's key is one of those that were pinned before the login is sent; only algorithms without SHA-1 and
without CBC; a path is used in the form that the server resolved, when that is inside the base directory. Between the
look and the use, whoever can write on the server may change a link there: that is the server's own business.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import secrets
import stat
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from hub.integrations.auth.ssh_key import UnreadableKeyError, unlocked
from hub.integrations.transports.dialled import Verdict, too_large
from hub.integrations.transports.files.entries import Entry, Kind, fault
from hub.integrations.transports.files.host_keys import fingerprint
from hub.net.outcome import ErrorClass, safe_text
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.files.entries import Listing
    from hub.integrations.transports.files.host_keys import HostKeys

PORT = 22
MAX_PACKET_BYTES = 1_048_576
#: What OpenSSH gives to one request; a server that gives less is asked again.
_CHUNK_BYTES = 261_120
_REQUESTS_AHEAD = 16
_LONGER_SECONDS = 5.0
_CIPHERS = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA)
_LOG = "hub.integrations.sftp"


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
        self._base_asked = base
        self._base = ""
        self._transport: Any = None
        self._sftp: Any = None
        self._sock: Any = None

    def __enter__(self) -> Self:
        key = _private_key(self._proofs)
        self._sock = self._way.dial()
        try:
            self._connect(key)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def list(self, path: str, listing: Listing) -> None:
        """See `Client`."""
        with self._asking(path):
            real = self._inside(path)
            if not stat.S_ISDIR(self._sftp.stat(real).st_mode or 0):
                raise fault("not_a_directory", path)
            found = self._sftp.listdir_iter(real, read_aheads=_REQUESTS_AHEAD)
            with contextlib.closing(found):
                for attributes in found:
                    name = attributes.filename
                    if "/" in name or not listing.add(_entry(f"{path}/{name}".lstrip("/"), attributes)):
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
            beside = f"{real.rpartition('/')[0]}/.hub-{secrets.token_hex(8)}"
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
            self._check_free(target, to, overwrite=overwrite)
            self._rename(real, target, to, overwrite=overwrite)

    def delete(self, path: str) -> None:
        """See `Client`; of a link, the link."""
        with self._asking(path):
            real = self._inside_new(path)
            if stat.S_ISDIR(self._sftp.lstat(real).st_mode or 0):
                raise fault("is_directory", path)
            self._sftp.remove(real)

    def _connect(self, key: Any) -> None:
        transport = self._transport = _transport_class()(self._sock, packetizer_class=_packetizer_class())
        transport.set_log_channel(_LOG)
        # Longer than the call: what ends it is the socket, at the deadline, and then that is the cause.
        seconds = self._way.deadline.remaining() + _LONGER_SECONDS
        transport.banner_timeout = transport.handshake_timeout = seconds
        transport.auth_timeout = transport.channel_timeout = seconds
        transport.clear_to_send_timeout = seconds
        if self._host_keys.types:
            transport.offer_keys(self._host_keys.types)
        with self._handshaking():
            transport.start_client(timeout=seconds)
            shown = transport.get_remote_server_key()
        if not self._host_keys.has(shown.asbytes()):
            raise Verdict(
                ErrorClass.TLS,
                f"The server is not the one that was pinned: it shows {safe_text(shown.get_name(), 40)} "
                f"{fingerprint(shown.asbytes())}.",
                headers={"file-error": "host_key"},
            )
        self._authenticate(key)
        with self._handshaking():
            channel = transport.open_session(timeout=seconds)
            channel.invoke_subsystem("sftp")
            self._sftp = _sftp_class()(channel)
        with self._asking(""):
            asked = self._base_asked
            self._base = self._sftp.normalize("." if asked == "~" else asked.removeprefix("~/") or "/")
            if not self._base.startswith("/"):
                raise Verdict(ErrorClass.PROTOCOL, "The server resolves no paths.")
            self._base = self._base.rstrip("/")

    def _authenticate(self, key: Any) -> None:
        import paramiko  # noqa: PLC0415 - heavy, and an extra

        try:
            with self._handshaking():
                if key is not None:
                    left = self._transport.auth_publickey(self._username, key)
                else:
                    password = self._proofs["password"].reveal()
                    left = self._transport.auth_password(self._username, password)
        except paramiko.BadAuthenticationType as error:
            allowed = safe_text(", ".join(map(str, error.allowed_types)), 100)
            raise Verdict(
                ErrorClass.UNAUTHORIZED, f"The server does not take this kind of login; it takes {allowed}."
            ) from None
        except paramiko.AuthenticationException:
            raise Verdict(ErrorClass.UNAUTHORIZED, "The server refused the login.") from None
        if left:
            raise Verdict(
                ErrorClass.UNAUTHORIZED, "The server wants more than one proof, which the hub cannot give."
            )

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
                if error.errno is None and self._transport.is_active():
                    self._check_free(target, path, overwrite=False)
                raise
            return
        try:
            self._sftp.posix_rename(real, target)
        except OSError as error:
            if error.errno is not None or not self._transport.is_active():
                raise
            # A server without OpenSSH's extension: not in one step then.
            with contextlib.suppress(FileNotFoundError):
                self._sftp.remove(target)
            self._sftp.rename(real, target)

    @contextlib.contextmanager
    def _handshaking(self) -> Iterator[None]:
        """Paramiko's errors of the connection."""
        import paramiko  # noqa: PLC0415

        try:
            yield
        except paramiko.AuthenticationException:
            if not self._transport.is_active():
                raise ConnectionResetError("closed by the other side") from None
            raise
        except (paramiko.SSHException, EOFError) as error:
            if isinstance(error, EOFError) or "EOF" in str(error) or "dropped" in str(error):
                raise ConnectionResetError("closed by the other side") from None
            raise Verdict(ErrorClass.PROTOCOL, f"SSH failed ({safe_text(str(error), 120)}).") from None
        except (Verdict, OSError):
            raise
        except Exception:  # noqa: BLE001 - paramiko and cryptography raise anything for a stranger's bytes
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid SSH.") from None

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
            if not self._transport.is_active():
                raise ConnectionResetError("closed by the other side") from None
            codes = {errno.ENOENT: "not_found", errno.EACCES: "denied"}
            code = codes.get(error.errno or 0, "failed")
            raise fault(code, path, str(error.strerror or error)) from None
        except Verdict:
            raise
        except Exception:  # noqa: BLE001 - paramiko and cryptography raise anything for a stranger's bytes
            if not self._transport.is_active():
                raise ConnectionResetError("closed by the other side") from None
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid SFTP.") from None

    def _close(self) -> None:
        """End it at once; a goodbye would wait for the server."""
        if self._sock is not None:
            self._sock.end()  # wakes paramiko's thread
        if self._transport is not None:
            self._transport.close()
            if self._transport.is_alive():
                self._transport.join(1.0)
        if self._sock is not None:
            self._sock.close()


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


def _private_key(secrets: Mapping[str, Secret]) -> Any:
    """The key of a login by key; None for one by password.

    Raises:
        Verdict: it cannot be read.
    """
    if "private_key" not in secrets:
        return None
    import paramiko  # noqa: PLC0415 - heavy, and an extra

    try:
        text = unlocked(secrets)
    except UnreadableKeyError as error:
        raise Verdict(ErrorClass.UNAUTHORIZED, f"The private key {error}.") from None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(text))
    raise Verdict(ErrorClass.UNAUTHORIZED, "The private key is of a kind that cannot be used.")


@lru_cache(maxsize=1)
def _transport_class() -> Any:
    """Paramiko's connection with our choice of algorithms; made at first use since the package is optional."""
    import paramiko  # noqa: PLC0415

    # It tells of every step, and of faults with their traces; what matters is in the outcome.
    logging.getLogger(_LOG).setLevel(logging.CRITICAL)

    class Modern(paramiko.Transport):
        _preferred_ciphers = _CIPHERS
        _preferred_macs = _MACS
        _preferred_keys: tuple[str, ...] = _KEYS

        def offer_keys(self, types: frozenset[str]) -> None:
            """Ask for a server key of these types alone."""
            self._preferred_keys = tuple(
                name for name in _KEYS if ("ssh-rsa" if name in _RSA else name) in types
            )

        @property
        def preferred_keys(self) -> tuple[str, ...]:
            return tuple(self._preferred_keys)  # no certificates: they cannot be pinned

    return Modern


@lru_cache(maxsize=1)
def _packetizer_class() -> Any:
    from paramiko.packet import Packetizer  # noqa: PLC0415

    class Bounded(Packetizer):  # type: ignore[misc,unused-ignore]
        def read_all(self, n: int, check_rekey: bool = False) -> Any:  # noqa: FBT001, FBT002 - its signature
            if n > MAX_PACKET_BYTES:
                raise EOFError
            return super().read_all(n, check_rekey)

    return Bounded


@lru_cache(maxsize=1)
def _sftp_class() -> Any:
    from paramiko import SFTPClient  # noqa: PLC0415

    return SFTPClient
