"""SSH connections through paramiko, over a guarded socket (RFC 4251 to 4254).

Promises: the server's key is one of those that were pinned before the login is sent; only algorithms without SHA-1 and
without CBC; no packet is read that is longer than the protocol's need.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

from hub.integrations.auth.ssh_key import UnreadableKeyError, unlocked
from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.files.host_keys import fingerprint
from hub.net.outcome import ErrorClass, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.files.host_keys import HostKeys

MAX_PACKET_BYTES = 1_048_576
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


class SshConnection:
    """One connection, logged in.

    Args:
        way: where to.
        username: who logs in.
        proofs: `password`, or `private_key` and perhaps `passphrase`.
        host_keys: the pinned ones.

    Raises:
        Verdict: the server, its key or the login is refused.
        OSError: the connection.
    """

    def __init__(self, way: Way, username: str, proofs: Mapping[str, Secret], host_keys: HostKeys) -> None:
        self._way = way
        self._transport: Any = None
        key = _private_key(proofs)
        self._sock = way.dial()
        try:
            self._connect(host_keys)
            self._authenticate(username, proofs, key)
        except BaseException:
            self.close()
            raise

    @property
    def is_active(self) -> bool:
        """The connection stands."""
        return bool(self._transport.is_active())

    def open_sftp(self) -> Any:
        """Paramiko's client for files; what the server does not know is an `OSError` with `EOPNOTSUPP`.

        Names that are not UTF-8 have surrogates, in both directions (PEP 383).
        """
        with self._handshaking():
            channel = self._transport.open_session(timeout=self._seconds())
            channel.invoke_subsystem("sftp")
            return _sftp_class()(channel)

    def close(self) -> None:
        """End it at once; a goodbye would wait for the server."""
        self._sock.end()  # wakes paramiko's thread
        if self._transport is not None:
            self._transport.close()
            if self._transport.is_alive():
                self._transport.join(1.0)
        self._sock.close()

    def _connect(self, host_keys: HostKeys) -> None:
        transport = self._transport = _transport_class()(self._sock, packetizer_class=_packetizer_class())
        transport.set_log_channel(_LOG)
        seconds = self._seconds()
        transport.banner_timeout = transport.handshake_timeout = seconds
        transport.auth_timeout = transport.channel_timeout = seconds
        transport.clear_to_send_timeout = seconds
        if host_keys.types:
            transport.offer_keys(host_keys.types)
        with self._handshaking():
            transport.start_client(timeout=seconds)
            shown = transport.get_remote_server_key()
        if not host_keys.has(shown.asbytes()):
            raise Verdict(
                ErrorClass.TLS,
                f"The server is not the one that was pinned: it shows {safe_text(shown.get_name(), 40)} "
                f"{fingerprint(shown.asbytes())}.",
                headers={"file-error": "host_key"},
            )

    def _authenticate(self, username: str, proofs: Mapping[str, Secret], key: Any) -> None:
        import paramiko  # noqa: PLC0415 - heavy, and an extra

        try:
            with self._handshaking():
                if key is not None:
                    left = self._transport.auth_publickey(username, key)
                else:
                    password = proofs["password"].reveal()
                    left = self._transport.auth_password(username, password)
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

    def _seconds(self) -> float:
        """Longer than the call: what ends it is the socket, at the deadline, and then that is the cause."""
        return self._way.deadline.remaining() + _LONGER_SECONDS

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
def _sftp_class() -> Any:
    from paramiko import Message, SFTPClient, sftp_client  # noqa: PLC0415
    from paramiko.sftp import SFTP_OP_UNSUPPORTED  # noqa: PLC0415

    class Texts(Message):  # type: ignore[misc,unused-ignore]
        def get_text(self) -> str:
            return self.get_string().decode("utf-8", "surrogateescape")

    class Client(SFTPClient):  # type: ignore[misc,unused-ignore]
        def _adjust_cwd(self, path: str) -> bytes:
            return path.encode("utf-8", "surrogateescape")

        def _convert_status(self, msg: Any) -> None:
            try:
                super()._convert_status(msg)  # type: ignore[misc,unused-ignore]
            except OSError as error:
                # Paramiko tells this status and a plain failure in one way.
                msg.rewind()
                msg.get_int()  # the number of the request
                if msg.get_int() == SFTP_OP_UNSUPPORTED:
                    raise OSError(errno.EOPNOTSUPP, str(error)) from None
                raise

    # What reads answers makes messages of the class that its module has; others in this process keep theirs.
    names = {**vars(sftp_client), "Message": Texts}
    for name in ("listdir_iter", "_read_response"):
        theirs = getattr(SFTPClient, name)
        setattr(Client, name, FunctionType(theirs.__code__, names, name, theirs.__defaults__))
    return Client


@lru_cache(maxsize=1)
def _packetizer_class() -> Any:
    from paramiko.packet import Packetizer  # noqa: PLC0415

    class Bounded(Packetizer):  # type: ignore[misc,unused-ignore]
        def read_all(self, n: int, check_rekey: bool = False) -> Any:  # noqa: FBT001, FBT002 - its signature
            if n > MAX_PACKET_BYTES:
                raise EOFError
            return super().read_all(n, check_rekey)

    return Bounded
