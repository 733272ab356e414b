from __future__ import annotations

import pytest

from hub.net.outcome import ErrorClass, Outcome
from hub.webhooks.endpoints.challenge import fault_of


@pytest.mark.parametrize(
    "body",
    [b"word", b" word\r\n", b'"word"', b'{"challenge":"word"}', b'{"type":"x","challenge":"word"}'],
)
def test_the_word_alone_or_in_an_object_is_an_answer(body: bytes) -> None:
    assert fault_of(Outcome(200, None, body=body), "word") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"words",
        b"wor",
        b'{"challenge":"words"}',
        b'{"challenge":null}',
        b"[" * 5000,
        b"\xff",
        b'["word"]',
    ],
    ids=["nothing", "more", "less", "other", "null", "deep", "no text", "list"],
)
def test_anything_else_is_none(body: bytes) -> None:
    assert "neither" in (fault_of(Outcome(200, None, body=body), "word") or "")


def test_a_fault_is_told_even_with_the_word() -> None:
    assert fault_of(Outcome(404, ErrorClass.HTTP_4XX, "It said 404.", body=b"word"), "word") == "It said 404."
    assert fault_of(None, "word") == "it did not answer within 10 seconds."
