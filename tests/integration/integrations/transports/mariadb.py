"""A MariaDB or MySQL server of the test run's own, where one is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.peers import absent
from tests.support.waiting import until

PASSWORD = "correct-horse-ünïcode"


@dataclass(frozen=True)
class Mariadb:
    """It answers on 127.0.0.1 as `localhost`, with TLS.

    Args:
        port: TCP port.
        authority: made its certificate.
    """

    port: int
    authority: trustme.CA
    socket: Path

    def admin(self, sql: str) -> str:
        """Run statements as its administrator."""
        client = shutil.which("mariadb") or shutil.which("mysql") or ""
        answer = subprocess.run(
            [client, "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--skip-column-names"],
            input=sql, capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return answer.stdout


def server_binary() -> str | None:
    """The server, if the machine has one."""
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")


@contextmanager
def running_mariadb() -> Iterator[Mariadb]:
    """Make a cluster and run it, or skip."""
    binary = server_binary()
    if binary is None:
        absent("mariadb", "no MariaDB on this machine (apt-get install mariadb-server)")
    home = Path(tempfile.mkdtemp(prefix="hub-maria-"))
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(home / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(home / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(home / "cert.pem"))
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={home}/data", "--auth-root-authentication-method=normal",
         "--skip-test-db", *user],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "--no-defaults", f"--datadir={home}/data", f"--socket={home}/s", f"--port={port}",
             "--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
             "--innodb-buffer-pool-size=32M", f"--ssl-cert={home}/cert.pem", f"--ssl-key={home}/key.pem",
             f"--ssl-ca={home}/ca.pem", "--skip-name-resolve", *user],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        running = Mariadb(port, authority, home / "s")
        until(lambda: _answers(port) or process.poll() is not None, what="MariaDB")
        assert process.poll() is None, (home / "log").read_text()
        yield running
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            return bool(sock.recv(1))
    except OSError:
        return False
