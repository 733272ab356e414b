"""Brokers and a mail server: RabbitMQ where it is installed, amqtt, aiosmtpd. Valkey is the test run's own."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.support.peers import absent
from tests.support.waiting import until

USER, PASSWORD = "me", "canary-good-password"


@contextmanager
def running_rabbitmq() -> Iterator[int]:
    """A node of the test run's own, or a skip; returns its port for AMQP."""
    # Debian's own command changes to a user that may not enter the directories of this test run.
    paths = ["/usr/lib/rabbitmq/bin", os.environ.get("PATH", "")]
    binary = next(filter(None, (shutil.which("rabbitmq-server", path=path) for path in paths)), None)
    epmd = shutil.which("epmd")
    if binary is None or epmd is None:
        absent("rabbitmq", "no RabbitMQ on this machine (apt-get install rabbitmq-server)")
    home = Path(tempfile.mkdtemp(prefix="hub-rabbit-"))
    port, names, distribution = _free_ports(3)
    (home / "rabbit.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = {USER}\ndefault_pass = {PASSWORD}\nloopback_users = none\n"
    )
    (home / "plugins").write_text("[].\n")
    env = os.environ | {
        "HOME": str(home),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"hub{port}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbit.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
    }
    processes = [subprocess.Popen([epmd, "-port", str(names)], env=env, start_new_session=True)]
    try:
        until(lambda: _answers(names), what="epmd")
        with (home / "out").open("wb") as out:
            processes.append(
                subprocess.Popen([binary], env=env, cwd=home, stdout=out, stderr=out, start_new_session=True)
            )
        node = processes[1]
        until(lambda: _answers(port) or node.poll() is not None, seconds=60, what="RabbitMQ")
        assert node.poll() is None, (home / "out").read_text()
        yield port
    finally:
        for process in reversed(processes):
            # With what it started: the node is a child of its script.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in taken]
    for sock in taken:
        sock.close()
    return ports


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running_mqtt() -> Iterator[int]:
    """A broker that knows one user; returns its port."""
    [port] = _free_ports(1)
    home = Path(tempfile.mkdtemp(prefix="hub-mqtt-"))
    # Cheap on purpose: every call of a test logs in.
    hashed = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    (home / "passwords").write_text(f"{USER}:{hashed}\n")
    module = "tests.integration.integrations.transports.mqtt_broker"
    with (home / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(port), str(home / "passwords")], stdout=out, stderr=out
        )
    try:
        until(lambda: _answers(port) or process.poll() is not None, what="amqtt")
        assert process.poll() is None, (home / "out").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Mailbox:
    """What a mail server took, and how it answers.

    Args:
        envelopes: in their order.
        answers: to RCPT, by address.
    """

    envelopes: list[Envelope] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - its name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - its name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.envelopes.append(envelope)
        return "250 Taken"


@contextmanager
def running_smtp(
    context: ssl.SSLContext | None, *, implicit: bool = False, login: bool = True
) -> Iterator[Mailbox]:
    """A mail server with STARTTLS (or TLS from the start, or none) and one user."""
    logging.getLogger("mail").setLevel(logging.CRITICAL)
    box = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        good = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=good)

    class Server(Controller):
        def factory(self) -> SMTP:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a login without STARTTLS, which is meant
                return SMTP(
                    box,
                    tls_context=None if implicit else context,
                    require_starttls=context is not None and not implicit,
                    auth_required=login,
                    auth_require_tls=context is not None and not implicit,
                    authenticator=check,
                    hostname="mail.test",
                    enable_SMTPUTF8=True,
                )

    [box.port] = _free_ports(1)
    server = Server(box, hostname="127.0.0.1", port=box.port, ssl_context=context if implicit else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.start()
    try:
        yield box
    finally:
        server.stop()
