from __future__ import annotations

import pytest

from hub.integrations.executions.waiting import preferred_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("respond-async", None),
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ("Wait = 5 ; x=1", 5),
        ('wait="7"', 7),
        ("wait=0", 0),
        ("wait=3600", 60),
        ("wait=-1", None),
        ("wait=soon", None),
        ("await=10", None),
        ("wait=99999999999999999999", None),
    ],
)
def test_the_preference_is_read_and_capped_or_ignored(header: str | None, seconds: float | None) -> None:
    assert preferred_wait(header) == seconds
