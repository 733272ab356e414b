"""Which page of a list comes next. Pure.

Promises: the same cursor is never asked for twice, and nothing but the integration's own origin is asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlencode, urljoin, urlsplit, urlunsplit

from hub.integrations.transports.encoding import to_json
from hub.integrations.transports.http import links, places
from hub.integrations.transports.http.forms import HEADER_PREFIX
from hub.net import url as urls

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hub.integrations.transports.http.forms import Pagination
    from hub.net.outcome import Outcome


class PageError(ValueError):
    """A page cannot be read; the text says why, for a person."""


class Stop(StrEnum):
    """Why reading ended although there may be more."""

    MAX_PAGES = "max_pages"
    MAX_BYTES = "max_bytes"
    REPEATED = "repeated_page"


@dataclass(frozen=True, slots=True)
class Page:
    """One page to ask for.

    Args:
        url: its address.
        body: what is sent.
        cursor: the text that asks for it; empty for an address, and for the first page.
    """

    url: str
    body: bytes | None
    cursor: str = ""


class Pages:
    """The pages of one list.

    Args:
        form: how it goes on.
        url: of the first page.
        body: the first page's, as it is sent.
        value: what that was made of.
        credentials: query parameters that carry credentials: they are added to every request, so they are taken
            out of addresses that an answer gives.
    """

    def __init__(
        self, form: Pagination, url: str, body: bytes | None, value: Any, credentials: Collection[str] = ()
    ) -> None:
        self._form = form
        self._url = url
        self._body = body
        self._value = value
        self._credentials = credentials
        self._seen = {(url, "")}
        self._last_items = b""
        self._read = 0
        self._first = self._given()
        self.count = 0
        self.items: list[bytes] = []

    @property
    def first(self) -> Page:
        """Where to begin."""
        return Page(self._url, self._body)

    def joined(self) -> bytes:
        """One JSON array of all items so far."""
        return b"[" + b",".join(self.items) + b"]"

    def add(self, page: Page, outcome: Outcome) -> Page | Stop | None:
        """Take an answer's items in.

        Args:
            page: that was asked for.
            outcome: its answer, which is a success.

        Returns:
            The next page, REPEATED when the service turns in a circle, or None at the end.

        Raises:
            PageError: the answer is not what the definition says.
        """
        try:
            return self._add(page, outcome)
        except places.NotJsonError:
            raise PageError("the answer is not valid JSON") from None

    def _add(self, page: Page, outcome: Outcome) -> Page | Stop | None:
        form = self._form
        found = places.array(outcome.body, form.items)
        if found is None:
            where = f"at {form.items}" if form.items else "itself"
            raise PageError(f"the answer has no list {where}")
        counted = form.kind in {"page", "offset"}
        digest = hashlib.sha256(b",".join(found)).digest()
        if counted and found and digest == self._last_items:
            # The service does not know the parameter, and gives the same page for ever.
            return Stop.REPEATED
        self._last_items = digest
        self.items += found
        self.count += 1
        self._read += len(found)
        if form.more and not places.read(outcome.body, form.more):
            return None
        if counted:
            return self._counted(len(found), outcome)
        address = form.kind in {"link", "next_url"}
        following = self._by_address(page, outcome) if address else self._by_cursor(outcome)
        if following is None:
            return None
        mark = (following.url, following.cursor)
        if mark in self._seen:
            return Stop.REPEATED
        self._seen.add(mark)
        return following

    def _counted(self, found: int, outcome: Outcome) -> Page | None:
        form = self._form
        # A short page is no end: services have caps of their own on a page's size.
        if not found:
            return None
        number = self._first + (self.count if form.kind == "page" else self._read)
        total = places.read(outcome.body, form.total) if form.total else None
        if isinstance(total, int) and not isinstance(total, bool):
            last = total - 1 if form.kind == "offset" or form.first == 0 else total
            if number > last:
                return None
        return self._asking(number)

    def _by_cursor(self, outcome: Outcome) -> Page | None:
        cursor = self._found(outcome)
        if cursor is None or cursor is False or cursor == "":
            return None
        if isinstance(cursor, bool) or not isinstance(cursor, str | int | float):
            raise PageError(f"what the answer has at {self._form.cursor} is neither a text nor a number")
        return self._asking(cursor)

    def _asking(self, cursor: str | float) -> Page:
        name, text = self._form.parameter, str(cursor)
        if self._form.parameter_in == "body":
            value = {**(self._value or {}), name: cursor}
            try:
                body = to_json(value)
            except ValueError:
                raise PageError("the cursor is not valid Unicode") from None
            return Page(self._url, body, text)
        parts = urlsplit(self._url)
        try:
            added = urlencode({name: text})
        except UnicodeEncodeError:
            raise PageError("the cursor is not valid Unicode") from None
        query = "&".join([*_without(parts.query, name), added])
        return Page(urlunsplit(parts._replace(query=query)), self._body, text)

    def _by_address(self, page: Page, outcome: Outcome) -> Page | None:
        if self._form.kind == "link":
            found: Any = links.target_of(outcome.headers.get("link", ""), "next")
        else:
            found = self._found(outcome)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise PageError(f"what the answer has at {self._form.cursor} is no address")
        try:
            following, own = urls.parse(urljoin(page.url, found)), urls.parse(self._url)
        except ValueError:
            raise PageError("the next page's address is not usable") from None
        if (following.scheme, following.host, following.port) != (own.scheme, own.host, own.port):
            # The credentials would go with it.
            raise PageError(f"the next page is at another origin ({following.scheme}://{following.host})")
        parts = urlsplit(following.text)
        query = "&".join(_without(parts.query, *self._credentials))
        return Page(urlunsplit(parts._replace(query=query)), self._body)

    def _found(self, outcome: Outcome) -> Any:
        place = self._form.cursor
        if place.startswith(HEADER_PREFIX):
            return outcome.headers.get(place.removeprefix(HEADER_PREFIX).lower())
        return places.read(outcome.body, place)

    def _given(self) -> int:
        """The number of the first page or item: the input may begin in the midst."""
        form = self._form
        first = 0 if form.kind == "offset" else 1 if form.first is None else form.first
        if form.kind not in {"page", "offset"}:
            return first
        if form.parameter_in == "body":
            given: Any = self._value.get(form.parameter) if isinstance(self._value, dict) else None
        else:
            given = _parameter(urlsplit(self._url).query, form.parameter)
        text = str(given)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else first


def notes(pages: Pages, stop: Stop | None, following: Page | None) -> Mapping[str, str]:
    """What the headers of the joined answer say: `hub-pages`, `hub-more`, `hub-stop` and `hub-next`.

    Args:
        pages: that were read.
        stop: why reading ended before the end.
        following: the page that would be next.
    """
    found = {"hub-pages": str(pages.count), "hub-more": "false" if stop is None else "true"}
    if stop is not None:
        found["hub-stop"] = stop.value
    if following is not None and following.cursor and following.cursor.isprintable():
        found["hub-next"] = following.cursor[:4096]
    return found


def _without(query: str, *names: str) -> list[str]:
    return [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) not in names]


def _parameter(query: str, name: str) -> str | None:
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if unquote_plus(key) == name:
            return unquote_plus(value)
    return None
