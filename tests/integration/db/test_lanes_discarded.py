"""Lanes whose destination is gone."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, text

from hub.core.ids import new_uuid
from hub.webhooks.store import DELIVERIES
from tests.integration.db.lane_rows import enter, make_lanes

DAY = timedelta(days=1)


def test_a_lane_goes_when_it_was_discarded_long_ago_and_nothing_is_in_it(engine: Engine) -> None:
    tenant = new_uuid()
    with engine.begin() as conn:
        wanted, fresh, filled, empty = make_lanes(conn, 4, tenant=tenant)
        enter(conn, filled, 1, tenant=tenant)
        for lane in (fresh, filled, empty):
            DELIVERIES.discard(conn, lane, "gone")
        conn.execute(
            text(
                "UPDATE hub.delivery_lane SET refilled_at = now() - interval '25 h' WHERE endpoint_id <> :fresh"
            ),
            {"fresh": fresh},
        )
        assert DELIVERIES.prune(conn, reason="gone", quiet=DAY) == 1
        left = set(
            conn.scalars(
                text("SELECT endpoint_id FROM hub.delivery_lane WHERE tenant_id = :tenant"),
                {"tenant": tenant},
            )
        )
        assert left == {wanted, fresh, filled}
        assert DELIVERIES.sweep_discarded(conn, keep="gone") == 1
        assert DELIVERIES.prune(conn, reason="gone", quiet=DAY) == 1
        assert DELIVERIES.prune(conn, reason="other", quiet=timedelta()) == 0
