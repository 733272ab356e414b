"""A real browser: Chromium without a window, driven over its DevTools protocol.

Enough for a person's way through pages: open an address, look at the page, type, click. It reaches loopback only.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.support.peers import absent
from tests.support.waiting import until


class Page:
    """One tab."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def ask(self, method: str, **params: Any) -> Any:
        """One command of the protocol and its answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=20))
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to an address."""
        self.ask("Page.navigate", url=url)

    @property
    def url(self) -> str:
        """Where it is, as the address bar shows it."""
        return str(self.evaluate("location.href"))

    def see(self, text: str) -> None:
        """Wait until a person can read this on the page."""
        shown = ""

        def there() -> bool:
            nonlocal shown
            shown = str(self.evaluate("document.readyState == 'complete' && document.body.innerText"))
            return text in shown

        try:
            until(there)
        except AssertionError:
            raise AssertionError(f"{text!r} is not on the page {self.url}, which says: {shown}") from None

    def type(self, selector: str, text: str) -> None:
        """Fill in a field, key by key."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.ask("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Press a button or follow a link with the mouse, where it is on the screen."""
        place = self.evaluate(
            "(() => { const box = document.querySelector("
            + json.dumps(selector)
            + ").getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )


@contextmanager
def browsing() -> Iterator[Page]:
    """A browser with one empty tab; the test is skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        absent("chromium", "Chromium is not installed: apt-get install chromium")
    home = Path(tempfile.mkdtemp(prefix="hub-browser-"))
    process = subprocess.Popen(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank",
        ],
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port_file = home / "DevToolsActivePort"
        until(lambda: port_file.exists() and port_file.read_text().count("\n"), what="Chromium to listen")
        port = port_file.read_text().split("\n")[0]
        (tab,) = [
            one
            for one in requests.get(f"http://127.0.0.1:{port}/json/list", timeout=20).json()
            if one["type"] == "page"
        ]
        with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(home, ignore_errors=True)
