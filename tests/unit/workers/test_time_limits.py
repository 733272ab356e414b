"""Celery's time limits beside what a pump may wait for."""

from __future__ import annotations

from annotated_types import Le

import celeryconfig
from hub.core.settings import get_settings
from hub.integrations.executions.job import CALL_SHARE
from hub.integrations.registry.schemas import IntegrationCreate
from hub.queue.pump import OVERTIME

#: `consumer_timeout`, 30 minutes (RabbitMQ, "Delivery Acknowledgement Timeout").
RABBITMQ_PATIENCE = 1800


def test_no_time_limit_ends_a_pump_that_waits_for_its_slowest_call() -> None:
    (longest,) = (
        one.le for one in IntegrationCreate.model_fields["timeout_seconds"].metadata if isinstance(one, Le)
    )
    assert isinstance(longest, int)
    waits = get_settings().pump_slice_seconds + OVERTIME + longest / CALL_SHARE
    assert waits < celeryconfig.task_soft_time_limit < celeryconfig.task_time_limit
    assert celeryconfig.task_time_limit < RABBITMQ_PATIENCE
