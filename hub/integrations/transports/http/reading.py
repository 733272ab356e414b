"""Reading the pages of one list, into one answer.

Promises: one deadline and one byte cap over all pages; a page that fails makes the whole call fail, as the outcome of
that page; what was read before a cap is a success with notes (`pages.notes`), which a caller can go on from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.integrations.transports.http.pages import Page, PageError, Pages, Stop, notes
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

#: They tell of one page as it came, and the answer is another one.
_OF_ONE_PAGE = ("content-encoding", "content-length", "etag", "last-modified", "link", "transfer-encoding")


def read_all(
    call: Callable[[str, bytes | None, int], Outcome], pages: Pages, max_pages: int, max_bytes: int
) -> Outcome:
    """Read until the end or a cap.

    Args:
        call: asks for one page: its address, its body and the bytes that its answer may have.
        pages: the list, nothing of it read.
        max_pages: how many.
        max_bytes: of all answers together.
    """
    page: Page = pages.first
    room, total_ms = max_bytes, 0.0
    last: Outcome | None = None
    while True:
        number = pages.count + 1
        outcome = call(page.url, page.body, room)
        total_ms += outcome.timings.total_ms
        outcome.timings.total_ms = total_ms
        if last is not None and outcome.error_class is ErrorClass.TOO_LARGE:
            last.timings.total_ms = total_ms
            return _whole(last, pages, Stop.MAX_BYTES, page)
        if not outcome.ok:
            if last is not None:
                outcome.message = f"Page {number}: {outcome.message}"
            return outcome
        try:
            following = pages.add(page, outcome)
        except PageError as error:
            outcome.error_class = ErrorClass.PROVIDER_ERROR
            outcome.message = f"Page {number} cannot be read: {error}."
            return outcome
        if following is None or isinstance(following, Stop):
            return _whole(outcome, pages, following, None)
        if pages.count >= max_pages:
            return _whole(outcome, pages, Stop.MAX_PAGES, following)
        room -= len(outcome.body)
        if room <= 0:
            return _whole(outcome, pages, Stop.MAX_BYTES, following)
        last, page = outcome, following


def _whole(outcome: Outcome, pages: Pages, stop: Stop | None, following: Page | None) -> Outcome:
    """The last page's outcome, with the items of all."""
    outcome.body = pages.joined()
    for name in _OF_ONE_PAGE:
        outcome.headers.pop(name, None)
    outcome.headers["content-type"] = "application/json"
    outcome.headers.pop("hub-stop", None)
    outcome.headers.pop("hub-next", None)
    outcome.headers.update(notes(pages, stop, following))
    return outcome
