"""execute, curl, executions and schedules with a service that answers: tried, made, repeated, recorded, checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hub.client.testing import FixtureClient, UnknownCallError
from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served
from tests.integration.integrations.conftest import provider, world
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import Pumping, World

__all__ = ["provider", "world"]

CANARY = "canary-5501-secret"
OPERATIONS = {
    "get_user": {"path": "/users/{id}"},
    "make_user": {"method": "POST", "path": "/users"},
}


@pytest.fixture
def crm(world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An integration of a hub whose work is done when a test says so."""
    monkeypatch.setenv("HUB_URL", world.url)
    monkeypatch.setenv("HUB_API_KEY", world.key)
    return world.create(
        provider.url, name="crm", auth={"mode": "bearer", "token": CANARY}, operations=OPERATIONS
    )


def test_a_dry_run_shows_every_link_and_the_command(
    hub: Hub, crm: dict[str, Any], provider: Provider
) -> None:
    tried = hub("execute", "crm", "get_user", "--input", '{"path": {"id": 7}}', "--dry-run")
    assert (tried.code, tried.err) == (0, "")
    for link in ("load", "access", "prepare", "limits", "authenticate"):
        assert link in tried.out
    assert tried.out.endswith(
        f"curl --request GET {provider.url}/users/7 \\\n  --header 'Authorization: Bearer ***'\n"
    )
    refused = hub("execute", "crm", "get_user", "--dry-run")
    assert (refused.code, "path.id" in refused.out, "curl" in refused.out) == (1, True, False)
    found = hub("execute", "crm", "get_user", "--dry-run", "--user", "kim", "--json")
    assert (found.code, found.json["would_call"]) == (1, False)
    assert hub("execute", "crm", "get_user", "--dry-run", "--wait", "1").code == 2
    assert hub("execute", "crm", "get_user", "--dry-run", "--at", "1h").code == 2
    assert provider.calls == []


def test_a_command_is_printed_alone(hub: Hub, crm: dict[str, Any], world: World) -> None:
    printed = hub("curl", "crm", "make_user", "--input", '{"body": {"name": "Ada"}}')
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith("curl --request POST ")
    assert printed.out.endswith('--data-raw \'{"name":"Ada"}\'\n')
    assert CANARY not in printed.out
    wrong = hub("curl", "crm", "get_user")
    assert (wrong.code, wrong.out, "path.id" in wrong.err) == (1, "", True)
    database = {"mode": "basic", "username": "u", "password": CANARY}
    world.create(
        "postgresql://127.0.0.1/db",
        name="db",
        type="database",
        auth=database,
        operations={"one": {"sql": "SELECT 1"}},
    )
    none = hub("curl", "db", "one")
    assert (none.code, none.err) == (1, "hub: There is no curl form of a database's statement.\n")


def test_who_asks_and_when_is_said(hub: Hub, crm: dict[str, Any], world: World) -> None:
    asked = (
        "execute", "crm", "get_user", "--input", '{"path": {"id": 7}}', "--user", "kim", "--component", "shop",
        "--at", "2099-01-01T00:00:00Z", "--idempotency-key", "once", "--json",
    )  # fmt: skip
    made = hub(*asked).json
    assert hub(*asked).json == made
    found = world.read(made["id"])
    assert (found["user"], found["component"], found["next_attempt_at"][:4]) == ("kim", "shop", "2099")


def test_executions_are_found_by_what_they_are(
    hub: Hub, crm: dict[str, Any], world: World, provider: Provider
) -> None:
    provider.default = lambda call: Answer(404 if call.path == "/users/8" else 200)
    good, bad = (world.execute(crm["id"], path={"id": number}) for number in (7, 8))
    world.run_executions()

    def found(*options: str) -> list[str]:
        return [one["id"] for one in hub("executions", "list", *options, "--json").json["data"]]

    assert found("--error-class", "http_4xx") == [bad]
    assert found("--status", "200") == [good]
    assert found("--operation", "get_user", "--since", "1h") == [bad, good]
    assert found("--until", "1h") == []
    assert found("--user", "nobody") == []
    assert "http_4xx" in hub("executions", "list").out
    assert hub("executions", "list", "--batch", "nonsense").code == 2
    assert hub("executions", "list", "--since", "yesterday").code == 2


def test_an_execution_is_made_again(hub: Hub, crm: dict[str, Any], world: World) -> None:
    first = world.execute(crm["id"])
    again = hub("executions", "replay", first, "--json").json
    assert world.read(again["id"])["replay_of"] == first
    with Pumping(world):
        other = hub("executions", "replay", first, "--input", '{"path": {"id": 9}}', "--wait", "20")
    assert (other.code, json.loads(other.out)) == (0, {"ok": True})
    assert hub("executions", "replay", first, "--input", "[]").code == 2


def test_a_batch_is_submitted_and_followed(hub: Hub, crm: dict[str, Any], world: World) -> None:
    items = json.dumps([{"operation": "get_user", "input": {"path": {"id": n}}} for n in range(3)])
    made = hub("executions", "batch", "submit", "crm", items, "--json").json
    assert len(made["data"]) == 3
    world.run_executions()
    shown = hub("executions", "batch", "show", made["id"], "--json").json
    assert (shown["finished"], shown["states"]) == (3, {"done": 3})
    assert len(hub("executions", "list", "--batch", made["id"], "--json").json["data"]) == 3
    wrong = hub("executions", "batch", "submit", "crm", '[{"operation": "nope"}]')
    assert (wrong.code, "items.0.operation" in wrong.err) == (1, True)
    assert hub("executions", "batch", "submit", "crm", "{}").code == 2
    assert hub("executions", "batch", "show", "nonsense").code == 2


def test_schedules_are_made_listed_paused_and_deleted(hub: Hub, api: Served) -> None:
    api.new_integration()
    made = hub(
        "schedules", "create", "nightly", "crm", "get_user", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin",
        "--input", '{"path": {"id": 1}}', "--json",
    ).json  # fmt: skip
    often = hub(
        "schedules", "create", "often", "crm", "get_user", "--every", "15m", "--input", '{"path": {"id": 1}}'
    )
    assert "next at " in often.out
    listed = hub("schedules", "list", "--integration", "crm").out
    assert all(text in listed for text in (made["id"], "30 2 * * * Europe/Berlin", "every 900 s"))
    assert hub("schedules", "pause", "nightly").out == f"{made['id']} paused\n"
    assert hub("schedules", "show", "nightly", "--json").json["paused"] is True
    assert "next at " in hub("schedules", "resume", made["id"]).out
    assert hub("executions", "list", "--schedule", "nightly", "--json").json["data"] == []
    assert hub("schedules", "delete", "often").out.endswith(" deleted\n")
    assert hub("schedules", "show", "often").code == 1
    assert hub("schedules", "delete", "nightly", "--json").json == {"id": made["id"], "deleted": True}


@pytest.mark.parametrize(
    "when",
    [(), ("--cron", "* * * * *", "--every", "1h"), ("--every", "soon")],
    ids=["never", "twice", "soon"],
)
def test_a_schedule_has_one_time(hub: Hub, api: Served, when: tuple[str, ...]) -> None:
    assert hub("schedules", "create", "s", "crm", "get_user", *when).code == 2


def recorded(hub: Hub, world: World, crm: dict[str, Any], folder: Path, **given: Any) -> Path:
    operation = given.pop("operation", "get_user")
    execution = world.execute(crm["id"], operation, **given)
    world.run_executions()
    written = hub("executions", "record", execution, str(folder))
    assert (written.code, written.err) == (0, "")
    return Path(written.out.strip())


def test_a_recorded_execution_answers_without_a_hub(
    hub: Hub, crm: dict[str, Any], world: World, provider: Provider, tmp_path: Path
) -> None:
    provider.script = [
        Answer(200, f'{{"name": "Ada", "echo": "{CANARY}"}}'.encode()),
        Answer(422, b'{"why": "no"}'),
    ]
    user = recorded(hub, world, crm, tmp_path, path={"id": 42})
    refused = recorded(hub, world, crm, tmp_path, operation="make_user", body={"name": ""})
    assert CANARY not in user.read_text()
    content = json.loads(refused.read_text())
    assert content["request"]["payload"] == {"name": ""}
    assert content["answer"]["data"] == {"why": "no"}

    client = FixtureClient(tmp_path)
    done: Any = client.execute("crm", "get_user", {"path": {"id": 42}}, wait=5)
    assert done["result"]["data"] == {"name": "Ada", "echo": "***"}
    # Everything that code may look at is as the hub would have said it.
    real = world.read(done["id"])
    assert done.keys() == real.keys()
    same = ("state", "status", "error", "result", "request", "input", "operation", "integration")
    assert {name: done[name] for name in same if name != "request"} == {
        name: real[name] for name in same if name != "request"
    }
    failed: Any = client.execute(crm["id"], "make_user", {"body": {"name": ""}}, wait=5)
    assert (failed["state"], failed["error"]["type"]) == ("failed", "http_4xx")
    with pytest.raises(UnknownCallError, match="is 42, here 43"):
        client.execute("crm", "get_user", {"path": {"id": 43}}, wait=5)


def test_only_what_has_ended_is_recorded_and_nothing_is_written_over(
    hub: Hub, crm: dict[str, Any], world: World, tmp_path: Path
) -> None:
    execution = world.execute(crm["id"])
    early = hub("executions", "record", execution, str(tmp_path / "a.json"))
    assert (early.code, "has not ended" in early.err) == (1, True)
    world.run_executions()
    assert hub("executions", "record", execution, str(tmp_path / "a.json")).code == 0
    again = hub("executions", "record", execution, str(tmp_path / "a.json"))
    assert (again.code, "--force" in again.err) == (1, True)
    assert hub("executions", "record", execution, str(tmp_path / "a.json"), "--force").code == 0
    assert hub("executions", "record", execution, str(tmp_path / "no" / "a.json")).code == 1


def test_a_definition_that_would_send_something_else_is_found_out(
    hub: Hub, crm: dict[str, Any], world: World, tmp_path: Path
) -> None:
    user = recorded(hub, world, crm, tmp_path, path={"id": 42}, query={"q": "x"})
    other = recorded(hub, world, crm, tmp_path, operation="make_user", body={"name": "Ada"})
    same = hub("integrations", "check", str(tmp_path))
    assert (same.code, same.out.count("same ")) == (0, 2)

    steps = [{"set": {"body.source": "hub"}}]
    operations = {
        "get_user": {"path": "/people/{id}"},
        "make_user": {"method": "POST", "path": "/users", "request_transform": steps},
    }
    answer = world.call("PATCH", f"/integrations/{crm['id']}", json={"operations": operations})
    assert answer.status_code == 200, answer.text
    changed = hub("integrations", "check", str(user), str(other))
    assert changed.code == 1
    assert "/users/42?q=x'\n  + endpoint:" in changed.out
    assert "  + payload.source: 'hub'\n" in changed.out

    world.call("PATCH", f"/integrations/{crm['id']}", json={"operations": {}})
    gone = hub("integrations", "check", str(user), "--json")
    assert (gone.code, gone.json[0]["result"]) == (1, "differs")
    assert "no such operation" in gone.json[0]["message"]


def test_a_fixture_of_another_hub_is_checked_against_this_one(
    hub: Hub, crm: dict[str, Any], world: World, provider: Provider, tmp_path: Path
) -> None:
    user = recorded(hub, world, crm, tmp_path, path={"id": 42})
    world.create(provider.url.replace("127.0.0.1", "localhost"), name="staging", operations=OPERATIONS)
    look = ("integrations", "check", str(user), "--integration", "staging")
    assert hub(*look).code == 1
    assert hub(*look, "--ignore-host").code == 0
    nobody = hub("integrations", "check", str(user), "--integration", "nobody")
    assert (nobody.code, "neither the name nor the id" in nobody.out) == (1, True)
    (tmp_path / "none").mkdir()
    assert hub("integrations", "check", str(tmp_path / "none")).code == 1
    (tmp_path / "bad.json").write_text("{}")
    bad = hub("integrations", "check", str(tmp_path / "bad.json"))
    assert (bad.code, "is no fixture" in bad.err) == (1, True)


def test_what_must_not_be_kept_is_in_no_fixture(
    hub: Hub, crm: dict[str, Any], world: World, tmp_path: Path
) -> None:
    policy = {"data_policy": {"redact": ["input.body.card", "input.query.pin"]}}
    world.call("PATCH", f"/integrations/{crm['id']}", json=policy)
    given = {"body": {"card": "4242-canary", "n": 1}, "query": {"pin": "99-canary"}}
    path = recorded(hub, world, crm, tmp_path, operation="make_user", **given)
    assert "canary" not in path.read_text()
    assert hub("integrations", "check", str(path)).code == 0
    done: Any = FixtureClient(path).execute("crm", "make_user", given, wait=1)
    assert done["state"] == "done"


def test_a_fixture_outlives_its_definition(
    hub: Hub, crm: dict[str, Any], world: World, tmp_path: Path
) -> None:
    execution = world.execute(crm["id"], "make_user", body={"name": "Ada"})
    world.run_executions()
    changed = {"make_user": {"method": "PUT", "path": "/people"}}
    world.call("PATCH", f"/integrations/{crm['id']}", json={"operations": changed})
    late = hub("executions", "record", execution, str(tmp_path / "a.json"))
    assert (late.code, "has changed since" in late.err) == (0, True)
    content = json.loads((tmp_path / "a.json").read_text())
    assert (content["request"]["method"], "payload" in content["request"]) == ("POST", False)
    assert hub("integrations", "check", str(tmp_path / "a.json")).code == 1
    world.call("DELETE", f"/integrations/{crm['id']}")
    gone = hub("executions", "record", execution, str(tmp_path / "b.json"))
    assert gone.code == 0
    assert json.loads((tmp_path / "b.json").read_text())["integration"] == crm["id"]


def test_what_the_steps_of_that_time_made_is_recorded(
    hub: Hub, crm: dict[str, Any], world: World, tmp_path: Path
) -> None:
    def steps(source: str) -> None:
        operation = {
            "method": "POST",
            "path": "/users",
            "request_transform": [{"set": {"body.from": source}}],
        }
        world.call("PATCH", f"/integrations/{crm['id']}", json={"operations": {"make_user": operation}})

    steps("then")
    execution = world.execute(crm["id"], "make_user", body={"name": "Ada"})
    world.run_executions()
    steps("now")
    late = hub("executions", "record", execution, str(tmp_path / "a.json"))
    assert (late.code, "what was sent is recorded" in late.err) == (0, True)
    payload = json.loads((tmp_path / "a.json").read_text())["request"]["payload"]
    assert payload == {"name": "Ada", "from": "then"}
    found = hub("integrations", "check", str(tmp_path / "a.json"))
    assert (found.code, "payload.from: 'then'" in found.out) == (1, True)


def test_an_execution_without_the_input_of_its_operation_is_not_recorded(
    hub: Hub, crm: dict[str, Any], world: World, tmp_path: Path
) -> None:
    world.call("PATCH", f"/integrations/{crm['id']}", json={"data_policy": {"store": "none"}})
    execution = world.execute(crm["id"])
    world.run_executions()
    nothing = hub("executions", "record", execution, str(tmp_path / "a.json"))
    assert (nothing.code, "keeps no input" in nothing.err) == (1, True)
    world.call("PATCH", f"/integrations/{crm['id']}", json={"data_policy": {"store": "all"}})
    started = world.execute(crm["id"])
    world.run_executions()
    flow = UUID(hex=started.removeprefix("exe_"))
    world.sql("UPDATE hub.execution SET flow_id = id WHERE id = :id", id=flow)
    event = hub("executions", "record", started, str(tmp_path / "b.json"))
    assert (event.code, "A flow started" in event.err) == (1, True)
    assert list(tmp_path.iterdir()) == []
