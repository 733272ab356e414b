"""A running `oidc-provider` (Node): an authorization server that is not ours, see `tests/support/node/oidc.js`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from tests.support.peers import absent

NODE = Path(__file__).parent / "node"
CODE = "authorization_code"
REFRESH = "refresh_token"


@dataclass
class Oidc:
    """The server, and what a test may ask of it."""

    url: str

    def counts(self) -> dict[str, int]:
        """How many requests of each grant its token endpoint has seen; `all` of them."""
        found: dict[str, int] = requests.get(f"{self.url}/test/counts", timeout=10).json()
        return found

    def delay(self, seconds: float) -> None:
        """Hold back the answers of the token endpoint."""
        self._tell("delay", ms=int(seconds * 1000))

    def fail(self, status: int, times: int = 1) -> None:
        """The token endpoint fails before it has done anything."""
        self._tell("fail", status=status, times=times)

    def drop(self, times: int = 1) -> None:
        """The token endpoint does its work, and its answer is lost."""
        self._tell("drop", times=times)

    def lives(self, token: str) -> bool:
        """Whether the server still takes an access token or a refresh token."""
        answer = requests.post(
            f"{self.url}/token/introspection",
            data={"token": token},
            auth=("web", "web-secret-0123456789"),
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["active"])

    def settings(self, **more: Any) -> dict[str, Any]:
        """The `auth` of an integration: client `web`, authorization code."""
        return {
            "mode": "oauth2",
            "grant": "authorization_code",
            "token_url": f"{self.url}/token",
            "authorize_url": f"{self.url}/auth",
            "revocation_url": f"{self.url}/token/revocation",
            "client_id": "web",
            "client_auth": "basic",
            "scopes": ["openid", "offline_access"],
            "authorize_parameters": {"prompt": "consent"},
            **more,
        }

    def _tell(self, what: str, **values: int) -> None:
        requests.post(f"{self.url}/test/{what}", params=values, timeout=10).raise_for_status()


@contextmanager
def serving_oidc(**options: Any) -> Iterator[Oidc]:
    """Run one; the test is skipped where it cannot run.

    Args:
        options: `life` of access tokens in seconds; `keys` and `algorithm` of the client `signer`; `port`.
    """
    node = shutil.which("node")
    if node is None:
        absent("node", "Node is not installed")
    if not (NODE / "node_modules" / "oidc-provider").exists():
        absent("node", "oidc-provider is not installed: run tests/support/node/install")
    process = subprocess.Popen(
        [node, "oidc.js", json.dumps(options)],
        cwd=NODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Oidc(json.loads(process.stdout.readline())["url"])
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""


class Browser:
    """A person with a browser: follows redirects, keeps cookies, fills in the provider's forms.

    Args:
        stop_at: the prefix of the address where it ends, which is not visited.
    """

    def __init__(self, stop_at: str) -> None:
        self._stop_at = stop_at
        self._session = requests.Session()

    def walk(self, url: str, *, login: str = "ada", **given: str) -> str:
        """Go on until the provider sends the browser back, or has nothing to ask for any more.

        Args:
            url: where to start.
            login: the name to log in with.
            given: what to write into fields of that name.

        Returns:
            The address that the browser is sent back to; else the last page's text.
        """
        answer = self._get(url)
        for _ in range(20):
            if isinstance(answer, str):
                return answer
            form = _Form()
            form.feed(answer.text)
            if form.action is None:
                return answer.text
            values = form.fields | {"login": login, "password": "any"} | given
            action = urljoin(answer.url, form.action)
            answer = self._follow(self._session.post(action, data=values, allow_redirects=False, timeout=10))
        raise AssertionError("The provider asks for ever.")

    def _get(self, url: str) -> requests.Response | str:
        return self._follow(self._session.get(url, allow_redirects=False, timeout=10))

    def _follow(self, answer: requests.Response) -> requests.Response | str:
        for _ in range(20):
            if "Location" not in answer.headers:
                return answer
            url = urljoin(answer.url, answer.headers["Location"])
            if url.startswith(self._stop_at):
                return url
            answer = self._session.get(url, allow_redirects=False, timeout=10)
        raise AssertionError("The provider redirects for ever.")
