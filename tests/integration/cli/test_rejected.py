"""`hub rejected list` on the test's database."""

from __future__ import annotations

import json

from sqlalchemy import Engine

from hub.core.ids import new_uuid
from hub.queue.store import record_rejected
from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served


def test_refused_messages_are_listed_page_by_page_newest_first(hub: Hub, api: Served, engine: Engine) -> None:
    assert hub("rejected", "list", "--json").json == {"data": [], "next_cursor": None}
    with engine.begin() as conn:
        for number in range(3):
            record_rejected(
                conn, new_uuid(), task=f"hub.task{number}", queue="hub.intake", reason="events.0.type is missing",
                headers=json.dumps({"origin": "1@shop"}), body="{}",
            )  # fmt: skip
    first = hub("rejected", "list", "--limit", "2", "--json").json
    assert [row["task"] for row in first["data"]] == ["hub.task2", "hub.task1"]
    last = hub("rejected", "list", "--limit", "2", "--cursor", first["next_cursor"], "--json").json
    assert ([row["task"] for row in last["data"]], last["next_cursor"]) == (["hub.task0"], None)
    shown = hub("rejected", "list").out
    assert all(text in shown for text in ("events.0.type is missing", "1@shop", "hub.task0"))
    assert hub("rejected", "list", "--cursor", "x").code == 2
