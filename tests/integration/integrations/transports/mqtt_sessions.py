"""A broker that keeps sessions as MQTT 3.1.1 says (4.1, 4.3, 4.4), with a small window: amqtt forgets what is in flight.

It knows CONNECT, SUBSCRIBE, the answers to PUBLISH, and DISCONNECT; messages come from the test.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from paho.mqtt.client import topic_matches_sub

_CONNECT, _PUBACK, _PUBREC, _PUBCOMP, _SUBSCRIBE, _DISCONNECT = 1, 4, 5, 7, 8, 14


@dataclass
class Message:
    """One on its way to a client."""

    number: int
    topic: str
    text: str
    qos: int
    released: bool = False


@dataclass
class Session:
    """What a broker keeps of a client: its subscriptions with their QoS, and what it has not acknowledged."""

    filters: dict[str, int] = field(default_factory=dict)
    waiting: list[Message] = field(default_factory=list)


class SessionBroker:
    """One client at a time.

    Args:
        window: how many messages are in flight at most.
        leaves: ends the connection after the first PUBACK.
    """

    def __init__(self, window: int, *, leaves: bool = False) -> None:
        self.sessions: dict[str, Session] = {}
        self._window = window
        self._leaves = leaves
        self._numbers = iter(range(1, 60_000))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def say(self, topic: str, text: str) -> None:
        """A message of somebody else with QoS 2, while nobody is connected."""
        for session in self.sessions.values():
            granted = [qos for one, qos in session.filters.items() if topic_matches_sub(one, topic)]
            if granted:
                session.waiting.append(Message(next(self._numbers), topic, text, max(granted)))

    @property
    def waiting(self) -> int:
        """Messages that no client has acknowledged."""
        return sum(len(session.waiting) for session in self.sessions.values())

    @contextmanager
    def running(self) -> Iterator[SessionBroker]:
        thread = threading.Thread(target=self._accept, name="mqtt-sessions", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, client.makefile("rb") as stream, contextlib.suppress(OSError, EOFError):
                    self._serve(client, stream)

    def _serve(self, client: socket.socket, stream: IO[bytes]) -> None:
        session, sent = Session(), set[int]()
        while True:
            kind, body = _packet(stream)
            number = int.from_bytes(body[:2])
            if kind == _CONNECT:
                # After the protocol's name, its level, the flags and the keep-alive.
                name = body[12 : 12 + int.from_bytes(body[10:12])].decode()
                session = self.sessions.setdefault(name, session)
                client.sendall(b"\x20\x02\x01\x00")
                for message in session.waiting:
                    if message.released:
                        sent.add(message.number)
                        client.sendall(b"\x62\x02" + message.number.to_bytes(2))
            elif kind == _SUBSCRIBE:
                length = int.from_bytes(body[2:4])
                session.filters[body[4 : 4 + length].decode()] = body[4 + length]
                client.sendall(b"\x90\x03" + body[:2] + body[4 + length : 5 + length])
            elif kind == _PUBREC:
                next(one for one in session.waiting if one.number == number).released = True
                client.sendall(b"\x62\x02" + body[:2])
            elif kind in {_PUBACK, _PUBCOMP}:
                session.waiting[:] = [one for one in session.waiting if one.number != number]
                if self._leaves:
                    return
            else:
                assert kind == _DISCONNECT
                return
            for message in session.waiting[: self._window]:
                if message.number not in sent:
                    sent.add(message.number)
                    client.sendall(_publish(message))


def _packet(stream: IO[bytes]) -> tuple[int, bytes]:
    """Kind and body; of at most 127 bytes of length."""
    head = stream.read(2)
    if not head or len(head) < 2:
        raise EOFError
    assert head[1] < 128
    return head[0] >> 4, stream.read(head[1]) or b""


def _publish(message: Message) -> bytes:
    topic = message.topic.encode()
    body = len(topic).to_bytes(2) + topic
    body += (message.number.to_bytes(2) if message.qos else b"") + message.text.encode()
    return bytes([0x30 | message.qos << 1, len(body)]) + body
