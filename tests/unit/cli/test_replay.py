from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from hub.cli.replay import moment_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "2026-11-22T11:58:30+00:00"),
        ("2h", "2026-11-22T10:00:00+00:00"),
        ("7d", "2026-11-15T12:00:00+00:00"),
        ("2026-11-22T18:00:00Z", "2026-11-22T18:00:00+00:00"),
        ("2026-11-22T18:00:00+02:00", "2026-11-22T18:00:00+02:00"),
    ],
)
def test_a_time_is_an_age_or_a_moment(text: str, expected: str) -> None:
    assert moment_of(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "-1h", "1.5h", "1w", "2h ago", "2026-11-22T18:00:00", "\u0661h", "999999d"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected how long ago"):
        moment_of(text, NOW)
