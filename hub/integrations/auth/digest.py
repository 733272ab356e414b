"""HTTP digest authentication (RFC 7616): the password never travels.

`requests` has one too, but keeps what it learned of the server for each thread: with a thousand of them, nearly every
call would be made twice. Here one integration has one memory, so after the first call of a process, calls are made
once until the server wants another nonce.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from hub.integrations.auth.challenge import ALGORITHMS, Challenge, first_usable, next_nonce
from hub.integrations.auth.fields import UserName, WriteOnly
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.request_places import body_of
from hub.integrations.forms import Form

if TYPE_CHECKING:
    from collections.abc import Callable


class DigestAuth(Form):
    """User name and password by HTTP digest authentication; the server says with which hash."""

    mode: Literal["digest"]
    username: UserName
    password: WriteOnly = None


def authorization(
    challenge: Challenge,
    *,
    username: str,
    password: str,
    method: str,
    target: str,
    body: bytes,
    count: int,
    cnonce: str,
) -> str:
    """The value of `Authorization` for one request (RFC 7616, 3.4).

    Args:
        challenge: what the server asked for.
        username: without a colon.
        password: any text; both are hashed in UTF-8 (RFC 7616, 4).
        method: of the request.
        target: path and query, as they travel.
        body: of the request; it counts only when the server wants `auth-int`.
        count: how many requests used this nonce, this one included.
        cnonce: random, without quotes.
    """
    algorithm = challenge.algorithm.upper()
    hash_name = ALGORITHMS[algorithm.removesuffix("-SESS")]

    def digest(data: str | bytes) -> str:
        given = data.encode() if isinstance(data, str) else data
        return hashlib.new(hash_name, given, usedforsecurity=False).hexdigest()

    a1 = digest(f"{username}:{challenge.realm}:{password}")
    if algorithm.endswith("-SESS"):
        a1 = digest(f"{a1}:{challenge.nonce}:{cnonce}")
    entity = f":{digest(body)}" if challenge.qop == "auth-int" else ""
    a2 = digest(f"{method}:{target}{entity}")
    used = f"{count:08x}"
    middle = "" if challenge.qop is None else f"{used}:{cnonce}:{challenge.qop}:"
    parts = [
        _user(digest(f"{username}:{challenge.realm}") if challenge.hashes_user else username),
        f"realm={_quoted(challenge.realm)}",
        f"nonce={_quoted(challenge.nonce)}",
        f"uri={_quoted(target)}",
        f"algorithm={challenge.algorithm}",
        f"response={_quoted(digest(f'{a1}:{challenge.nonce}:{middle}{a2}'))}",
    ]
    if challenge.qop is not None:
        parts += [f"qop={challenge.qop}", f"nc={used}", f"cnonce={_quoted(cnonce)}"]
    if challenge.opaque is not None:
        parts.append(f"opaque={_quoted(challenge.opaque)}")
    if challenge.hashes_user:
        parts.append("userhash=true")
    return f"Digest {', '.join(parts)}"


class Digest:
    """Answers digest challenges, and does so unasked where it knows the server's nonce. Thread-safe.

    Args:
        parameters: `username`.
        secrets: `password`.
        cnonce: makes a random text without quotes.
    """

    def __init__(
        self,
        parameters: Parameters,
        secrets: Secrets,
        *,
        cnonce: Callable[[], str] = randomness.token_hex,
    ) -> None:
        self._username: str = parameters["username"]
        self._password = secrets["password"]
        self._cnonce = cnonce
        self._lock = threading.Lock()
        self._known: Challenge | None = None
        self._count = 0

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request as far as that is possible, and see to the server's answer."""
        with self._lock:
            known = self._known
            self._count += 1
            count = self._count
        if known is not None:
            self._sign(request, known, count)

        def see(response: Any, **_options: Any) -> Any:
            return self._see(response, request, known)

        request.register_hook("response", see)
        return request

    def _sign(self, request: Any, challenge: Challenge, count: int) -> None:
        request.headers["Authorization"] = authorization(
            challenge,
            username=self._username,
            password=self._password.reveal(),
            method=request.method,
            target=request.path_url,
            body=body_of(request),
            count=count,
            cnonce=self._cnonce(),
        )

    def _see(self, response: Any, request: Any, used: Challenge | None) -> Any:
        """Answer a challenge once; a second one means that the credentials are wrong."""
        if response.status_code == 401:
            asked = first_usable(response.headers.get("WWW-Authenticate", ""))
            if asked is None or (used is not None and asked.nonce == used.nonce and not asked.stale):
                return response
            # Others learn the new nonce only after this use of it: a server that wants its uses in order refuses
            # the first one when the second was faster (RFC 7616, 3.4, `nc`).
            self._sign(request, asked, 1)
            response = response.connection.send(request)
            if response.status_code == 401:
                return response
            self._learn(asked, 1)
            used = asked
        nonce = next_nonce(response.headers.get("Authentication-Info", ""))
        if used is not None and nonce is not None:
            self._learn(replace(used, nonce=nonce), 0)
        return response

    def _learn(self, challenge: Challenge, uses: int) -> None:
        with self._lock:
            if self._known is None or self._known.nonce != challenge.nonce:
                self._known, self._count = challenge, uses


def _user(name: str) -> str:
    """RFC 7616, 3.4.4: what is not ASCII is written as RFC 8187 says."""
    return f"username={_quoted(name)}" if name.isascii() else f"username*=UTF-8''{quote(name, safe='')}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


MODE = Mode("digest", DigestAuth, secrets=("password",), sign=Digest, any_text=frozenset({"password"}))
