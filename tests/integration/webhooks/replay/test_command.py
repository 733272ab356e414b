"""`hub replay …` against a served API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.core.ids import Kind, format_id, new_uuid, parse_id
from tests.integration.cli.conftest import Hub, api, hub
from tests.integration.client.served import Served, served
from tests.integration.webhooks.replay.past import NOWHERE, Past
from tests.integration.webhooks.world import running_world

__all__ = ["api", "hub", "served"]


@pytest.fixture
def past(api: Served, engine: Engine, database_url: str) -> Iterator[Past]:
    """Past of the served tenant."""
    with running_world(engine, database_url, "unused") as world:
        tenant = parse_id(Kind.TENANT, api.tenant)
        world.caller = Principal(tenant, new_uuid(), frozenset({Scope.ADMIN}))
        yield Past(world)


def test_what_failed_is_counted_sent_again_and_looked_after(hub: Hub, past: Past) -> None:
    endpoint = format_id(Kind.ENDPOINT, past.world.endpoint(NOWHERE))
    past.events(3)
    shared = ("--since", "1h", "--endpoint", endpoint)
    tried = hub("replay", "failed", *shared, "--dry-run")
    assert tried.code == 0, tried.err
    assert "3 deliveries would be sent again (3 rows were looked at)." in tried.out
    assert endpoint in tried.out
    assert hub("replay", "failed", *shared, "--dry-run", "--json").json["total"] == 3
    started = hub("replay", "failed", *shared, "--rate", "5")
    assert started.code == 0, started.err
    replay_id = started.out.split()[0]
    for verb, state in (("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled")):
        assert hub("replay", verb, replay_id).out.strip() == f"{replay_id} {state}"
    refused = hub("replay", "resume", replay_id, "--json")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    shown = hub("replay", "status", replay_id, "--json").json
    assert (shown["state"], shown["rate"], shown["endpoint"]) == ("cancelled", 5, endpoint)
    assert "cancelled" in hub("replay", "status", replay_id).out
    assert replay_id in hub("replay", "list").out
    assert [one["id"] for one in hub("replay", "list", "--json").json["data"]] == [replay_id]


def test_options_reach_the_job(hub: Hub, past: Past) -> None:
    made = hub(
        "replay", "filter", "--since", "2026-01-01T00:00:00Z", "--until", "1m", "--type", "a.*", "--type", "b",
        "--label", "eu", "--filter", '{"data.n": 1}', "--state", "done", "--state", "failed", "--response", "5xx",
        "--json",
    ).json  # fmt: skip
    expected: dict[str, Any] = {
        "kind": "filter", "since": "2026-01-01T00:00:00Z", "event_types": ["a.*", "b"], "labels": ["eu"],
        "filter": {"data.n": 1}, "states": ["done", "failed"], "response": ["5xx"], "rate": 100,
    }  # fmt: skip
    assert expected.items() <= made.items()
    assert hub("replay", "missing", "--since", "7d", "--json").json["kind"] == "missing"
    assert hub("replay", "all", "--since", "7d", "--json").json["kind"] == "all"


def test_following_shows_the_end(hub: Hub, past: Past) -> None:
    endpoint = past.world.endpoint(NOWHERE)
    past.events(2)
    past.world.change(endpoint, status="paused")
    replay_id = hub("replay", "failed", "--since", "1h", "--json").json["id"]
    past.run()
    followed = hub("replay", "status", replay_id, "--follow")
    assert followed.code == 0
    assert "done" in followed.out
    assert "what is for them waits" in followed.err


def test_one_event_is_sent_again(hub: Hub, past: Past) -> None:
    endpoint = format_id(Kind.ENDPOINT, past.world.endpoint(NOWHERE))
    event = format_id(Kind.MESSAGE, past.events(1)[0])
    assert hub("replay", "event", event).out.strip() == f"{event} 1 deliveries are due"
    assert len(hub("replay", "event", event, "--endpoint", endpoint, "--json").json["deliveries"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("failed",), 2, "--since"),
        (("failed", "--since", "soon"), 2, "expected how long ago"),
        (("failed", "--since", "2026-01-01T00:00:00"), 2, "expected how long ago"),
        (("failed", "--since", "1h", "--filter", "{"), 2, "not JSON"),
        (("failed", "--since", "1h", "--rate", "0"), 1, "rate"),
        (("failed", "--since", "1h", "--endpoint", "shop-a"), 1, "hub endpoints list"),
        (("failed", "--since", "1h", "--state", "leased"), 2, "leased"),
        (("filter", "--since", "1h"), 1, "kind"),
        (("status", "rpl_1"), 2, "hub replay list"),
        (("status", "../events"), 2, "hub replay list"),
        (("cancel", ""), 2, "hub replay list"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_a_sentence(
    hub: Hub, api: Served, arguments: tuple[str, ...], code: int, text: str
) -> None:
    ended = hub("replay", *arguments)
    assert ended.code == code
    assert text in ended.err
    assert ended.out == ""
