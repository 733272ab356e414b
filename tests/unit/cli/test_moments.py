from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from hub.cli.moments import moment_of, parse_duration

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago", "ahead"),
    [
        ("90s", "2026-11-22T11:58:30+00:00", "2026-11-22T12:01:30+00:00"),
        ("2h", "2026-11-22T10:00:00+00:00", "2026-11-22T14:00:00+00:00"),
        ("7d", "2026-11-15T12:00:00+00:00", "2026-11-29T12:00:00+00:00"),
        ("2026-11-22T18:00:00Z", "2026-11-22T18:00:00+00:00", "2026-11-22T18:00:00+00:00"),
        ("2026-11-22 18:00:00+02:00", "2026-11-22T18:00:00+02:00", "2026-11-22T18:00:00+02:00"),
    ],
)
def test_a_time_is_a_duration_or_a_moment(text: str, ago: str, ahead: str) -> None:
    assert moment_of(text, NOW, "ago") == ago
    assert moment_of(text, NOW, "from now") == ahead


@pytest.mark.parametrize(
    "text", ["", "h", "-1h", "1.5h", "1w", "2h ago", "2026-11-22T18:00:00", "\u0661h", "999999d"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected how long ago"):
        moment_of(text, NOW, "ago")
    with pytest.raises(click.BadParameter, match="expected how long from now"):
        moment_of(text, NOW, "from now")


def test_the_longest_duration_is_one() -> None:
    assert parse_duration("99999d") == timedelta(days=99_999)
    assert parse_duration("2 h") is None
