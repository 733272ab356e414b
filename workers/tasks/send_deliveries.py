"""The delivery pump."""

from __future__ import annotations

from typing import Any

from hub.core.settings import get_settings
from hub.queue.contracts import Doorbell, TaskName
from workers import context
from workers.pumping import run_pump
from workers.task import hub_task


@hub_task(TaskName.DELIVERIES_SEND, Doorbell)
def send_deliveries(_payload: Doorbell) -> dict[str, Any]:
    """Fan out due messages and send due deliveries until there are none."""
    source = context.get_delivery_source()
    try:
        return run_pump(
            TaskName.DELIVERIES_SEND,
            source,
            context.get_delivery_runner(),
            capacity=get_settings().deliver_in_flight,
        )
    except Exception:
        # A pump that fails aborts its calls, which closes the sender: the next pump needs a new one.
        context.get_delivery_runner.cache_clear()
        raise
    finally:
        source.flush()
