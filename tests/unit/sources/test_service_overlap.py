"""Secrets that follow one another."""

from __future__ import annotations

from hub.core.ids import new_uuid
from hub.sources.overlap import MAX_SECRETS, live_ids, rotate, stored

NOW = 1_000_000.0


def test_the_new_secret_is_first_and_the_others_end_after_the_overlap() -> None:
    a, b, c = new_uuid(), new_uuid(), new_uuid()
    kept, gone = rotate([stored(a), stored(b)], c, now=NOW, overlap=60)
    assert live_ids(kept, NOW + 59) == [(c, None), (a, NOW + 60), (b, NOW + 60)]
    assert live_ids(kept, NOW + 60) == [(c, None)]
    assert gone == []


def test_an_end_that_was_decided_is_not_put_off() -> None:
    a, b, c = new_uuid(), new_uuid(), new_uuid()
    kept, _ = rotate([stored(a)], b, now=NOW, overlap=60)
    kept, _ = rotate(kept, c, now=NOW + 10, overlap=3_600)
    assert live_ids(kept, NOW + 10) == [(c, None), (b, NOW + 3_610), (a, NOW + 60)]


def test_what_has_ended_is_given_back_for_deletion() -> None:
    a, b, c = new_uuid(), new_uuid(), new_uuid()
    kept, gone = rotate([stored(a)], b, now=NOW, overlap=0)
    assert (live_ids(kept, NOW), gone) == ([(b, None)], [a])
    kept, _ = rotate([stored(a)], b, now=NOW, overlap=60)
    kept, gone = rotate(kept, c, now=NOW + 60, overlap=60)
    assert ([one for one, _ in live_ids(kept, NOW + 60)], gone) == ([c, b], [a])


def test_of_many_secrets_the_oldest_are_given_up() -> None:
    ids = [new_uuid() for _ in range(MAX_SECRETS + 3)]
    secrets, gone = [stored(ids[0])], []
    for one in ids[1:]:
        secrets, over = rotate(secrets, one, now=NOW, overlap=60)
        gone += over
    assert [one for one, _ in live_ids(secrets, NOW)] == ids[:2:-1]
    assert gone == ids[:3]
