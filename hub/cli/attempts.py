"""An execution or a delivery with its attempts, as a command shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.cli.output import show_json, show_record, show_rows

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.results import DeliveryDetail, ExecutionDetail

_COLUMNS: Columns = {
    "attempt": "number",
    "at": "started_at",
    "outcome": "outcome",
    "status": "status",
    "error": "error_class",
    "message": "message",
    "ms": "total_ms",
}


def show_with_attempts(found: ExecutionDetail | DeliveryDetail, *, as_json: bool) -> None:
    """Print what it has, then a table of its attempts, oldest first, when there are any."""
    if as_json:
        show_json(found)
        return
    show_record({name: value for name, value in found.items() if name != "attempt_log"})
    if found["attempt_log"]:
        show_rows(found["attempt_log"], _COLUMNS)
