"""The attempts of an execution or a delivery as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.cli.output import moment, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.client.results import Attempt


def show_attempts(attempts: Sequence[Attempt]) -> None:
    """Print them, oldest first; nothing when there are none."""
    if not attempts:
        return
    show_table(
        ("attempt", "at", "outcome", "status", "error", "message", "ms"),
        [
            (
                one["number"], moment(one["started_at"]), one["outcome"], one["status"], one["error_class"],
                one["message"], one["total_ms"],
            )
            for one in attempts
        ],
    )  # fmt: skip
