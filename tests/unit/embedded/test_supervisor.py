"""Pure parts of the supervisor."""

from __future__ import annotations

import pytest

from hub.embedded.supervisor import how_it_ended, restart_delay


def test_the_delay_doubles_from_half_a_second_to_half_a_minute() -> None:
    assert [restart_delay(crashes) for crashes in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restart_delay(10_000) == 30


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "ended with exit code 0"), (-9, "was killed by SIGKILL"), (None, "could not be started")],
)
def test_an_ending_is_told_in_words(code: int | None, words: str) -> None:
    assert how_it_ended(code) == words
