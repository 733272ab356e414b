"""`hub flows …` and `hub audit …`: against a served API."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, text

from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served

FLOW = """\
name: paid
event_types: [order.*]
filter: {data.total: {$gt: 1}}
integration: crm
operation: get_user
mapping:
  - rename: {data: path}
  - pick: [path.id]
publish:
  - {on: succeeded, event_type: user.found}
"""


class Piped(io.BytesIO):
    """What standard input is in a pipe."""

    name = "<stdin>"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flow.yaml"
    path.write_text(FLOW)
    return path


def test_a_flow_is_made_of_a_file_shown_paused_and_deleted_by_name(hub: Hub, api: Served, file: Path) -> None:
    integration = api.new_integration()
    made = hub("flows", "create", str(file))
    flow = api.client.list_flows()["data"][0]
    assert (made.code, made.out) == (0, f"{flow['id']} takes order.*\n")
    assert (flow["integration"], flow["mapping"][1]) == (integration, {"pick": ["path.id"]})
    listed = hub("flows", "list", "--integration", "crm").out
    assert all(text in listed for text in (flow["id"], "order.*", "get_user", "user.found"))
    assert hub("flows", "list", "--integration", "crm", "--json").json["data"] == [flow]
    assert hub("flows", "show", "paid", "--json").json == flow
    assert "order.*" in hub("flows", "show", flow["id"]).out
    assert hub("flows", "pause", "paid").out == f"{flow['id']} paused\n"
    assert hub("flows", "list", "--json").json["data"][0]["paused"] is True
    assert hub("flows", "resume", "paid", "--json").json["paused"] is False
    assert hub("flows", "delete", "paid", "--json").json == {"id": flow["id"], "deleted": True}
    gone = hub("flows", "show", "paid")
    assert (gone.code, "neither the name nor the id of a flow" in gone.err) == (1, True)


def test_a_sample_event_shows_what_would_be_started(hub: Hub, api: Served, file: Path) -> None:
    api.new_integration()
    assert hub("flows", "create", str(file)).code == 0
    tried = hub("flows", "test", "paid", "order.paid", '{"id": 7, "total": 5}')
    assert (tried.code, tried.err) == (0, "")
    assert tried.out.endswith('{\n  "path": {\n    "id": 7\n  }\n}\n')
    assert "passed" in tried.out
    passed_by = hub("flows", "test", "paid", "order.paid", '{"id": 7, "total": 1}')
    assert (passed_by.code, passed_by.err) == (
        1,
        "The flow does not take this event, because of its filter.\n",
    )
    assert hub("flows", "test", "paid", "user.made", "{}").err.endswith("because of its event types.\n")
    # The mapping makes an input that the operation does not take.
    assert hub("flows", "test", "paid", "order.paid", '{"total": 5}', "--json").json["would_call"] is False
    assert hub("flows", "test", "paid", "order.paid", "{").code == 2
    assert api.client.list_executions()["data"] == []


def test_what_is_wrong_with_a_file_is_told_at_its_place(hub: Hub, api: Served, file: Path) -> None:
    api.new_integration()
    file.write_text(FLOW.replace("order.*", "order*").replace("operation: get_user", "operation: nope"))
    refused = hub("flows", "create", str(file))
    assert (refused.code, refused.out) == (1, "")
    assert f"  {file}:2:15: event_types.0: " in refused.err
    file.write_text(FLOW.replace("operation: get_user", "operation: nope"))
    assert f"  {file}:5:12: operation: the integration has no such operation" in (
        hub("flows", "create", str(file)).err
    )
    file.write_text(FLOW.replace("event_types: [order.*]", "event_types: order.*"))
    assert f"{file}:2:14: event_types: " in hub("flows", "create", str(file)).err
    file.write_text("name: paid\nintegration: crm\n")
    incomplete = hub("flows", "create", str(file))
    assert incomplete.code == 1
    assert incomplete.err.splitlines() == [
        "hub: The flow is not complete; nothing was made.",
        f"  {file}:1:1: event_types: is required",
        f"  {file}:1:1: operation: is required",
    ]
    file.write_text(f"{FLOW}---\n{FLOW}")
    assert "a file holds one flow" in hub("flows", "create", str(file)).err
    file.write_bytes(b"\xff")
    assert "is not UTF-8 text" in hub("flows", "create", str(file)).err
    file.write_text(FLOW.replace("crm", "nobody"))
    assert "'nobody' is neither the name" in hub("flows", "create", str(file)).err
    assert hub("flows", "create", str(file.with_name("no.yaml"))).code == 2
    assert api.client.list_flows()["data"] == []


def test_a_flow_may_come_from_standard_input(hub: Hub, api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = api.new_integration()
    text = f'{{"name": "all", "event_types": ["*"], "integration": "{integration}", "operation": "request"}}'
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Piped(text.encode())))
    made = hub("flows", "create", "-", "--json")
    assert (made.code, made.json["event_types"]) == (0, ["*"])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Piped(text.encode())))
    taken = hub("flows", "create", "-")
    assert (taken.code, taken.err.splitlines()) == (
        1,
        [
            "hub: The flow is refused; nothing was made.",
            "  standard input (all): name: is the name of another flow",
        ],
    )
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Piped(b"[")))
    assert "standard input:2:1: " in hub("flows", "create", "-").err


def test_executions_are_found_by_flow_and_event(hub: Hub, api: Served, file: Path) -> None:
    integration = api.new_integration()
    assert hub("flows", "create", str(file)).code == 0
    api.client.execute(integration, "get_user", {"path": {"id": 1}})
    event = api.client.publish("order.paid", 1)["id"]
    assert hub("executions", "list", "--flow", "paid", "--json").json["data"] == []
    assert hub("executions", "list", "--event", event, "--json").json["data"] == []
    assert hub("executions", "list", "--event", "nonsense").code == 2


def test_the_audit_log_is_listed_by_subject_and_action(hub: Hub, api: Served, file: Path) -> None:
    integration = api.new_integration()
    assert hub("flows", "create", str(file)).code == 0
    flow = api.client.list_flows()["data"][0]["id"]
    listed = hub("audit", "list").out
    assert all(text in listed for text in ("flow.created", flow, "integration.created", integration, "key_"))
    (one,) = hub("audit", "list", "--subject", flow, "--json").json["data"]
    assert (one["action"], one["details"]) == ("flow.created", {"name": "paid"})
    assert hub("audit", "list", "--action", "flow.deleted", "--json").json["data"] == []
    assert "There is more: --cursor" in hub("audit", "list", "--limit", "1").err


def test_the_ends_of_executions_are_published_once_more(
    hub: Hub, api: Served, file: Path, engine: Engine
) -> None:
    integration = api.new_integration()
    file.write_text(
        f"{FLOW}  - {{on: ended, event_type: user.lost, mapping: [template: {{x: '{{{{ data.no }}}}'}}]}}\n"
    )
    assert hub("flows", "create", str(file)).code == 0
    ids = [api.client.execute(integration, "get_user", {"path": {"id": n}})["id"] for n in range(21)]
    with engine.begin() as conn:
        # No worker runs here.
        conn.execute(text("UPDATE hub.execution SET state = 'done', flow_id = (SELECT id FROM hub.flow)"))
    made = hub("flows", "publish", "paid", *ids, "--event-type", "user.found", "--json")
    assert made.code == 0, made.err
    assert [(one["execution"], one["event_type"]) for one in made.json["data"]] == [
        (one, "user.found") for one in ids
    ]
    first = made.json["data"][0]["event"]
    assert api.client.get_event(first)["data"]["execution"] == ids[0]
    refused = hub("flows", "publish", "paid", *ids[:20], f"exe_{'0' * 32}", "--event-type", "user.found")
    assert refused.code == 1
    assert ids[19] in refused.out, "what went out is told"
    assert "is no execution that this flow started" in refused.err
    partly = hub("flows", "publish", "paid", ids[0])
    assert partly.code == 1
    assert all(
        word in partly.out for word in (ids[0], "user.found", first[:4], "user.lost", "Step 0 (template)")
    )


def test_what_cannot_be_published_again_is_told(hub: Hub, api: Served, file: Path) -> None:
    api.new_integration()
    assert hub("flows", "create", str(file)).code == 0
    nobodys = f"exe_{'0' * 32}"
    refused = hub("flows", "publish", "paid", nobodys)
    assert (refused.code, refused.out) == (1, "")
    assert "executions.0: is no execution that this flow started" in refused.err
    assert (
        "the flow publishes user.found" in hub("flows", "publish", "paid", nobodys, "--event-type", "x").err
    )
    assert hub("flows", "publish", "paid").code == 2
