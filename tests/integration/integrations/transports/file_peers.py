"""Servers for files: SFTP by asyncssh, FTPS by pyftpdlib, S3 by moto; each over a directory or bucket of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import trustme
from botocore.session import Session
from moto.server import ThreadedMotoServer

with warnings.catch_warnings():
    # Up to Python 3.11 pyftpdlib takes asyncore from the standard library, which deprecates it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib import handlers
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

USER, PASSWORD = "me", "canary-good-password"


@dataclass(frozen=True)
class SftpPeer:
    """An SFTP server.

    Args:
        port: TCP port.
        host_key: its public key, as a line.
        fingerprint: the same, short.
        client_key: a private key that it takes.
    """

    port: int
    host_key: str
    fingerprint: str
    client_key: str


class _Server(asyncssh.SSHServer):
    """Takes one password and one key."""

    client_key: asyncssh.SSHKey

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key == self.client_key.convert_to_public()


@contextmanager
def running_sftp(
    root: Path,
    *,
    key_type: str = "ssh-ed25519",
    client_type: str = "ssh-ed25519",
    files: type[asyncssh.SFTPServer] = asyncssh.SFTPServer,
) -> Iterator[SftpPeer]:
    """Serve a directory, with what `files` makes of it."""
    host_key = asyncssh.generate_private_key(key_type)
    client_key = asyncssh.generate_private_key(client_type)
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)

    class Server(_Server):
        pass

    Server.client_key = client_key
    loop = asyncio.new_event_loop()
    started: list[Any] = []

    async def serve() -> None:
        started.append(
            await asyncssh.create_server(
                Server,
                "127.0.0.1",
                0,
                server_host_keys=[host_key],
                sftp_factory=lambda channel: files(channel, chroot=str(root).encode()),
            )
        )

    loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever, name="relay-sftp-peer", daemon=True)
    thread.start()
    public = host_key.convert_to_public()
    try:
        yield SftpPeer(
            started[0].get_port(),
            public.export_public_key().decode().strip(),
            public.get_fingerprint(),
            client_key.export_private_key().decode(),
        )
    finally:

        async def stop() -> None:
            started[0].close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def running_ftps(
    root: Path, authority: trustme.CA, *, implicit: bool = False, goodbye: bool = True, **attributes: Any
) -> Iterator[int]:
    """Serve a directory; returns the port."""
    assert hasattr(handlers, "TLS_FTPHandler"), "pyftpdlib speaks TLS only with pyopenssl"
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(root), perm="elradfmwMT")
    certificate = root.parent / f"{root.name}-ftps.pem"
    issued = authority.issue_cert("127.0.0.1", "localhost", "peer.test")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))

    class Handler(handlers.TLS_FTPHandler):  # type: ignore[misc]
        def handle(self) -> None:
            if implicit:
                self.secure_connection(self.get_ssl_context())
            super().handle()

    Handler.authorizer = authorizer
    Handler.certfile = str(certificate)
    Handler.tls_control_required = Handler.tls_data_required = True
    Handler.banner = "ready"
    Handler.auth_failed_timeout = 0
    if not goodbye:
        Handler.dtp_handler = _saying_no_goodbye()
    for name, value in attributes.items():
        setattr(Handler, name, value)
    server = FTPServer(("127.0.0.1", 0), Handler, ioloop=IOLoop())
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            server.serve_forever(timeout=0.05, blocking=False)
        server.close_all()

    thread = threading.Thread(target=serve, name="relay-ftps-peer", daemon=True)
    thread.start()
    try:
        yield int(server.address[1])
    finally:
        stopping.set()
        thread.join(10)


def _saying_no_goodbye() -> Any:
    """The data connection of a server that answers TLS's goodbye with nothing."""

    class Waiting(handlers.DTPHandler):  # type: ignore[misc]
        ends = 0

        def handle_close(self) -> None:
            self.ends += 1
            if self.ends > 1:  # the first one is TLS's alone
                super().handle_close()

    class Data(handlers.TLS_DTPHandler, Waiting):  # type: ignore[misc]
        pass

    return Data


@contextmanager
def running_s3() -> Iterator[int]:
    """An S3 of moto's; returns the port."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield int(server.get_host_and_port()[1])
    finally:
        server.stop()


@contextmanager
def checking(port: int, *actions: str) -> Iterator[tuple[str, str]]:
    """Have moto check signatures and rights, which it does not by itself.

    Args:
        port: of the S3.
        actions: what a new user may do; its key and secret are returned.
    """
    url = f"http://127.0.0.1:{port}"
    iam = Session().create_client(
        "iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    name = f"user-{uuid.uuid4().hex[:8]}"
    allowed = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    _check_after(url, "0")
    try:
        yield made["AccessKeyId"], made["SecretAccessKey"]
    finally:
        _check_after(url, "inf")


def _check_after(url: str, requests: str) -> None:
    # Not as a form, which is what urllib calls it by itself: moto would find it empty.
    asked = urllib.request.Request(
        f"{url}/moto-api/reset-auth", requests.encode(), {"Content-Type": "text/plain"}, method="POST"
    )
    urllib.request.urlopen(asked, timeout=10).close()
