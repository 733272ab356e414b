"""`hub listen` in a process of its own, against a running hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import standardwebhooks
from sqlalchemy import text

from hub.client import Json
from tests.support.receivers import Answer, Inbox
from tests.support.stack import RunningHub, free_port
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance


class Listening:
    """A `hub listen` that runs."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    @property
    def out(self) -> list[str]:
        """Complete lines of standard output."""
        return self._out.read_text().splitlines()

    @property
    def err(self) -> str:
        """What was said beside the events."""
        return self._err.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """As Ctrl-C does; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(10)


Listen = Callable[..., AbstractContextManager[Listening]]


@pytest.fixture
def listening(hub: RunningHub, tmp_path: Path) -> Listen:
    """Start `hub listen …`, connected when it is returned; it ends with the test."""

    @contextmanager
    def start(*arguments: str) -> Iterator[Listening]:
        out, err = tmp_path / "out", tmp_path / "err"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        environ |= {"HUB_URL": hub.url, "HUB_API_KEY": hub.api_key, "HUB_DATA_DIR": str(tmp_path / "data")}
        with out.open("wb") as standard, err.open("wb") as error:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub.cli.main", "listen", *arguments],
                stdout=standard,
                stderr=error,
                env=environ,
            )
        made = Listening(process, out, err)
        try:
            until(
                lambda: "Listening to" in made.err or process.poll() is not None,
                what="a connection of hub listen",
            )
            assert process.poll() is None, made.err
            yield made
        finally:
            process.kill()
            process.wait()

    return start


def test_events_are_forwarded_as_an_endpoint_gets_them_and_verify(
    hub: RunningHub, inbox: Inbox, word: str, listening: Listen
) -> None:
    hub.http.create_endpoint(name=word, url=f"{inbox.url}/endpoint", event_types=[f"{word}.*"])
    with listening("--types", f"{word}.*", "--forward", f"{inbox.url}/local") as running:
        hub.http.publish(f"{word}.paid", Json('{"z": 1.00,\r\n "text": "Grüße"}'), id=f"order-{word}")
        hub.http.publish(f"other-{word}", 1)
        inbox.wait(2)
        until(lambda: len(running.out) == 2, what="two lines")
        assert running.stop() == 0
    by_path = {request.path: request for request in inbox.requests}
    assert len(inbox.requests) == 2
    local, delivered = by_path["/local"], by_path["/endpoint"]
    assert local.body == delivered.body
    own = {"webhook-signature", "webhook-timestamp", "host", "accept-encoding", "connection"}
    assert {name: value for name, value in local.headers.items() if name not in own} == {
        name: value for name, value in delivered.headers.items() if name not in own
    }
    secret = next(part for part in running.err.split() if part.startswith("whsec_"))
    assert standardwebhooks.Webhook(secret).verify(local.body, local.headers)["type"] == f"{word}.paid"
    line, answer = running.out
    assert f"{word}.paid  order-{word}  {len(local.body)} bytes" in line
    assert answer.startswith("  -> 200, ")
    assert "1 event: 1 taken by the receiver, 0 not." in running.err


def test_no_event_is_missed_and_none_comes_twice_while_the_api_restarts(
    hub: RunningHub, inbox: Inbox, word: str, listening: Listen
) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    published: list[str] = []
    done = threading.Event()
    statement = text("SELECT hub.publish_event(:tenant, :type, '1')")

    def publish() -> None:
        # Through SQL, the door that does not need the API.
        while not done.wait(0.01):
            with hub.engine.begin() as conn:
                published.append(conn.scalar(statement, {"tenant": hub.tenant, "type": word}))

    with listening("--types", word, "--forward", inbox.url, "--secret", secret) as running:
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            inbox.wait(20)
            hub.restart("api")
            until(lambda: "Connected again." in running.err, what="a new connection")
            hub.kill("api")
            hub.start("api")
            until(lambda: running.err.count("Connected again.") == 2, what="another one")
        finally:
            done.set()
            thread.join()
        until(lambda: len(inbox.requests) >= len(published), what="all events")
        assert running.stop(signal.SIGTERM) == 0
    assert Counter(request.webhook_id for request in inbox.requests) == Counter(published)
    for request in inbox.requests:
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    assert secret not in running.err + "".join(running.out)


def test_what_a_receiver_refuses_is_told_and_not_repeated(
    hub: RunningHub, inbox: Inbox, word: str, listening: Listen
) -> None:
    inbox.answer = lambda request: Answer(500 if b'"data":1}' in request.body else 302)
    with listening("--types", word, "--forward", inbox.url) as running:
        for n in (1, 2):
            hub.http.publish(word, n)
        until(lambda: len(running.out) == 4, what="four lines")
        assert running.stop() == 0
    assert len(inbox.requests) == 2
    assert running.out[1].startswith("  -> 500, ")
    assert running.out[3].startswith("  -> 302, ")
    assert "2 events: 0 taken by the receiver, 2 not." in running.err


def test_a_receiver_that_is_not_there_is_told(hub: RunningHub, word: str, listening: Listen) -> None:
    with listening("--types", word, "--forward", f"http://127.0.0.1:{free_port()}/") as running:
        hub.http.publish(word, 1)
        until(lambda: len(running.out) == 2, what="two lines")
    assert running.out[1].startswith("  -> no answer: Connection refused, ")


def test_what_came_before_is_printed_as_lines_of_json(hub: RunningHub, word: str, listening: Listen) -> None:
    receipt = hub.http.publish(word, Json('{"a":\n 123456789012345678901234567890}'), labels=[word])
    hub.http.publish(word, 2)
    with listening("--labels", word, "--since", "1m", "--print-json", "--events-only") as running:
        until(lambda: len(running.out) == 1, what="a line")
        later = hub.http.publish(word, 3, labels=["x", word])
        until(lambda: len(running.out) == 2, what="another line")
        assert running.stop() == 0
    first, second = map(json.loads, running.out)
    assert (first["message_id"], first["id"], first["type"]) == (receipt["id"], receipt["id"], word)
    assert '"data":{"a":  123456789012345678901234567890}' in running.out[0]
    assert (second["message_id"], second["data"]) == (later["id"], 3)
    assert running.err.endswith("2 events.\n")


def test_a_wrong_key_is_one_sentence(hub: RunningHub, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli.main", "listen"],
        env={
            **os.environ,
            "HUB_URL": hub.url,
            "HUB_API_KEY": hub.api_key[:-1] + ("y" if hub.api_key.endswith("x") else "x"),
            "HUB_DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("hub: The API key is ")
    assert len(done.stderr.splitlines()) == 1
