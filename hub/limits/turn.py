"""How a caller stands to the queue when it is denied."""

from __future__ import annotations

from enum import StrEnum


class Turn(StrEnum):
    """What the caller does after a denial; decides what it is told."""

    #: It does not wait (`on_limit: reject`): it is told the truth and takes no place.
    REJECT = "reject"
    #: It will wait, for the first time: it is sent to the end.
    QUEUE = "queue"
    #: It comes at the moment that an earlier denial told: it stays in front of those who never waited.
    CALLED = "called"
