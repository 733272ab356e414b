"""The delivery pump."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hub.core.settings import get_settings
from hub.queue.contracts import Doorbell, TaskName
from hub.queue.pump import Pump
from workers import context, shutdown
from workers.task import hub_task


@hub_task(TaskName.DELIVERIES_SEND, Doorbell)
def send_deliveries(_payload: Doorbell) -> dict[str, Any]:
    """Fan out due messages and send due deliveries until there are none."""
    settings = get_settings()
    pump = Pump(
        TaskName.DELIVERIES_SEND,
        context.get_delivery_source(),
        context.get_delivery_runner(),
        context.get_bell(),
        capacity=settings.deliver_in_flight,
        slice_seconds=settings.pump_slice_seconds,
        linger=settings.pump_linger_ms / 1000,
        grace=settings.worker_grace_seconds,
        stopping=shutdown.requested,
    )
    return asdict(pump.run())
