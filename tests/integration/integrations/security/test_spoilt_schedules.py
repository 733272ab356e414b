"""A schedule that cannot be read here stops nobody else's."""

from __future__ import annotations

import pytest

from hub.integrations.executions.starting import start_due
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World


@pytest.mark.parametrize("spoilt", ["time zone", "access rules"])
def test_what_cannot_be_read_costs_its_own_schedule_alone(
    world: World, provider: Provider, caplog: pytest.LogCaptureFixture, spoilt: str
) -> None:
    given = {"operation": "get_user", "input": {"path": {"id": 1}}, "cron": "0 3 * * *"}
    for name in ("spoilt", "fine"):
        made = world.create(provider.url, name=name)
        answer = world.call("POST", f"/integrations/{made['id']}/schedules", json={"name": name, **given})
        assert answer.status_code == 201, answer.text
    if spoilt == "time zone":  # that this machine does not know
        world.sql("UPDATE hub.execution_schedule SET timezone = 'Nowhere/Else' WHERE name = 'spoilt'")
    else:
        world.sql("UPDATE hub.integration SET access = '{\"roles\": 7}' WHERE name = 'spoilt'")
    world.sql("UPDATE hub.execution_schedule SET next_at = now()")
    for expected in (1, 0):
        with world.engine.begin() as conn:
            assert len(start_due(conn)) == expected
    assert caplog.text.count("cannot be started here") == 1
    found = {
        row.name: row for row in world.sql("SELECT *, next_at - now() AS ahead FROM hub.execution_schedule")
    }
    assert found["fine"].last_at is not None
    assert (found["spoilt"].last_at, 3000 < found["spoilt"].ahead.total_seconds() <= 3600) == (None, True)
