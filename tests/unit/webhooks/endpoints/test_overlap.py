from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hub.webhooks.endpoints.overlap import MAX_OLD, Stored, live, replaced, still

NOW = datetime(2030, 1, 1, tzinfo=UTC)
A, B, C = (uuid.UUID(int=n) for n in (1, 2, 3))


def old(key: uuid.UUID, seconds: float) -> Stored:
    return {"secret_id": str(key), "expires_at": (NOW + timedelta(seconds=seconds)).isoformat()}


def test_the_current_key_becomes_the_newest_old_one() -> None:
    kept, unused = replaced([old(A, 60)], B, None, now=NOW, overlap=3600)
    assert kept == [old(B, 3600), old(A, 60)]
    assert unused == []


def test_older_ones_end_with_the_new_overlap_at_the_latest() -> None:
    kept, _ = replaced([old(A, 7200)], B, None, now=NOW, overlap=60)
    assert kept == [old(B, 60), old(A, 60)]


def test_without_an_overlap_all_are_of_no_more_use() -> None:
    kept, unused = replaced([old(A, 60)], B, None, now=NOW, overlap=0)
    assert kept == []
    assert sorted(unused) == [A, B]


def test_what_has_ended_is_of_no_more_use() -> None:
    kept, unused = replaced([old(A, 60), old(C, 0)], B, None, now=NOW, overlap=60)
    assert [one["secret_id"] for one in kept] == [str(B), str(A)]
    assert unused == [C]
    assert still([old(A, 60), old(C, -1)], NOW) == ([old(A, 60)], [C])


def test_the_oldest_of_too_many_is_dropped() -> None:
    before = [old(uuid.UUID(int=n), 60) for n in range(10, 10 + MAX_OLD)]
    kept, unused = replaced(before, B, None, now=NOW, overlap=60)
    assert len(kept) == MAX_OLD
    assert unused == [uuid.UUID(int=9 + MAX_OLD)]


def test_a_public_key_stays_with_its_private_one() -> None:
    kept, _ = replaced([], B, "whpk_x", now=NOW, overlap=60)
    assert [one.public_key for one in live(kept)] == ["whpk_x"]
    assert [one.public_key for one in live([old(A, 60)])] == [None]
