from __future__ import annotations

import pytest

from hub.access.idempotency import (
    Claim,
    IdempotencyKeyReused,
    Replay,
    check_key,
    hash_body,
    settle_repeat,
)
from hub.core.errors import Invalid
from hub.core.ids import new_uuid

FIRST = Claim(new_uuid(), "events.publish", "k1", hash_body(b"{}"), new_uuid(), 202, {"id": "msg_1"})


@pytest.mark.parametrize("key", ["a", "x" * 255, "8f14e45f-ceea-4e7a-9c1e", "~!@#"])
def test_visible_ascii_is_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "a\n", "ключ", "\x00", "\x7f"])
def test_anything_else_is_refused_at_the_header(key: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_key(key)
    assert [fault.path for fault in caught.value.fields] == ["header.Idempotency-Key"]


def test_the_same_body_gets_the_first_answer() -> None:
    repeat = Claim(
        FIRST.tenant_id, FIRST.scope, FIRST.key, hash_body(b"{}"), new_uuid(), 202, {"id": "msg_2"}
    )
    assert settle_repeat(FIRST, repeat) == Replay(202, {"id": "msg_1"}, FIRST.resource_id)


def test_another_body_is_an_error_with_its_own_code() -> None:
    outcome = settle_repeat(FIRST, Claim(FIRST.tenant_id, FIRST.scope, FIRST.key, hash_body(b"[]")))
    assert isinstance(outcome, IdempotencyKeyReused)
    assert (outcome.status, outcome.code) == (422, "idempotency_key_reused")
    assert [fault.path for fault in outcome.fields] == ["header.Idempotency-Key"]
