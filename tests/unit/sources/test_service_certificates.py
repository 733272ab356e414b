"""Certificates that are fetched when they are first asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hub.sources.certificates import CertificateShelf

URL = "https://api.paypal.com/v1/notifications/certs/CERT-1"


@dataclass
class Time:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Place:
    """Where certificates are; keeps who asked."""

    answers: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    def __call__(self, url: str) -> bytes | None:
        self.asked.append(url)
        return self.answers.get(url)


def test_one_that_is_missing_is_told_fetched_once_and_kept_for_hours() -> None:
    async def use() -> None:
        place, clock = Place({URL: b"PEM"}), Time()
        shelf = CertificateShelf(place, clock)
        assert shelf(URL) is None
        assert (shelf.take_missed(), shelf.take_missed()) == (URL, None)
        await asyncio.gather(shelf.bring(URL), shelf.bring(URL))
        assert (shelf(URL), shelf.take_missed()) == (b"PEM", None)
        clock.seconds += 3_600
        assert shelf(URL) == b"PEM"
        clock.seconds += 6 * 3_600
        assert shelf(URL) is None
        await shelf.bring(URL)
        assert place.asked == [URL, URL]

    asyncio.run(use())


def test_a_failure_is_believed_for_a_minute() -> None:
    async def use() -> None:
        place, clock = Place({}), Time()
        shelf = CertificateShelf(place, clock)
        await shelf.bring(URL)
        await shelf.bring(URL)
        assert shelf(URL) is None
        # It was asked for in vain just now, so nobody is to fetch it.
        assert shelf.take_missed() is None
        clock.seconds += 61
        place.answers[URL] = b"PEM"
        assert shelf(URL) is None
        assert shelf.take_missed() == URL
        await shelf.bring(URL)
        assert (shelf(URL), len(place.asked)) == (b"PEM", 2)

    asyncio.run(use())


def test_a_stranger_cannot_make_the_hub_call_without_end() -> None:
    async def use() -> None:
        place, clock = Place({}), Time()
        shelf = CertificateShelf(place, clock)
        for n in range(100):
            await shelf.bring(f"{URL}{n}")
        assert len(place.asked) == 10
        clock.seconds += 61
        for n in range(100):
            await shelf.bring(f"{URL}x{n}")
        assert len(place.asked) == 20
        assert len(shelf._kept) == 20

    asyncio.run(use())
