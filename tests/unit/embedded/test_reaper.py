"""The reaper's book of process groups."""

from __future__ import annotations

import io
import signal

from hub.embedded.reaper import read_groups


def test_what_was_registered_and_not_taken_back_is_left_at_the_end() -> None:
    lines = io.StringIO("+100 9\n+200 2\n-100\n+300 9\n")
    assert read_groups(lines) == {200: signal.SIGINT, 300: signal.SIGKILL}
