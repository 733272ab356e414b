"""`hub integrations …`: definitions in files and at the hub."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from hub.core.settings import get_settings
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served

CANARY = "canary-8843-secret"
CRM = """\
name: crm
base_url: http://127.0.0.1:9/v2
auth:
  mode: bearer
  token: ${CRM_TOKEN}
operations:
  get_user:
    path: /users/{id}
"""
BILLING = """\
name: billing
base_url: http://127.0.0.1:9
tags: [money]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRM_TOKEN", CANARY)
    path = tmp_path / "hub.yaml"
    path.write_text(f"{CRM}---\n{BILLING}")
    return path


def secrets_of(engine: Engine) -> set[str]:
    """Every secret that is stored, in the clear."""
    vault = Vault(KeyRing.from_settings(get_settings()))
    with engine.connect() as conn:
        rows = conn.exec_driver_sql("SELECT tenant_id, id FROM hub.secret").all()
        return {one.reveal() for one in vault.get_many(conn, [tuple(row) for row in rows]).values()}


def test_files_are_applied_once_and_then_change_nothing(
    hub: Hub, api: Served, engine: Engine, file: Path
) -> None:
    tried = hub("integrations", "apply", str(file), "--dry-run")
    assert (tried.code, tried.err) == (0, "")
    assert tried.out.endswith("2 would be created.\n")
    assert '+ crm\n  + base_url: "http://127.0.0.1:9/v2"\n' in tried.out
    assert '"token": "${CRM_TOKEN}"' in tried.out
    assert api.client.list_integrations()["data"] == []

    done = hub("integrations", "apply", str(file), "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "2 created.")
    assert secrets_of(engine) == {CANARY}
    again = hub("integrations", "apply", str(file), "--yes")
    assert (again.code, again.out) == (0, "2 unchanged.\n")
    assert {one["version"] for one in api.client.list_integrations()["data"]} == {1}
    assert CANARY not in tried.out + done.out + again.out


def test_a_change_is_shown_from_what_to_what(
    hub: Hub, api: Served, engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub("integrations", "apply", str(file), "--yes")
    file.write_text(CRM.replace("/users/{id}", "/people/{id}"))
    monkeypatch.setenv("CRM_TOKEN", f"{CANARY}-2")
    done = hub("integrations", "apply", str(file), "-y")
    assert done.out == (
        "~ crm\n"
        '  - operations.get_user.path: "/users/{id}"\n'
        '  + operations.get_user.path: "/people/{id}"\n'
        "  ~ auth.token: another secret\n"
        "1 changed.\n"
    )
    assert secrets_of(engine) == {f"{CANARY}-2"}


def test_exit_codes_tell_scripts_what_would_happen(
    hub: Hub, api: Served, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ("integrations", "apply", str(file), "--dry-run", "--exit-code")
    assert hub(*look).code == 1
    would = hub(*look, "--json")
    assert (would.code, [one["action"] for one in would.json["data"]]) == (1, ["create", "create"])
    hub("integrations", "apply", str(file), "--yes")
    assert hub(*look).code == 0
    monkeypatch.delenv("CRM_TOKEN")
    assert hub(*look).code == 2
    assert hub("integrations", "apply", str(file), "--exit-code", "--yes").code == 2
    monkeypatch.delenv("HUB_API_KEY")
    monkeypatch.setenv("CRM_TOKEN", CANARY)
    assert hub(*look).code == 78


def test_without_its_variables_nothing_is_sent(
    hub: Hub, api: Served, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_TOKEN")
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:1")
    refused = hub("integrations", "apply", str(file), "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "hub: Nothing was sent: secrets are missing.\n"
        f"  {file}:5:10: auth.token: the variable CRM_TOKEN is not set\n"
    )


def test_secrets_that_are_not_at_hand_may_stay(
    hub: Hub, api: Served, engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub("integrations", "apply", str(file), "--yes")
    monkeypatch.delenv("CRM_TOKEN")
    kept = hub("integrations", "apply", str(file), "--yes", "--keep-secrets")
    assert (kept.code, kept.out) == (0, "2 unchanged.\n")
    assert secrets_of(engine) == {CANARY}


def test_every_fault_is_told_at_its_place_and_nothing_is_done(hub: Hub, api: Served, file: Path) -> None:
    file.write_text(f"{CRM}    colour: blue\n    method: LOOK\n---\n{BILLING}timeout_seconds: -1\n")
    refused = hub("integrations", "apply", str(file), "--yes")
    assert (refused.code, refused.out) == (1, "")
    first, *faults = refused.err.splitlines()
    assert first == "hub: 3 faults; nothing was changed."
    assert {one.split(": ")[0].strip() for one in faults} == {
        f"{file}:9:13",
        f"{file}:10:13",
        f"{file}:15:18",
    }
    assert "operations.get_user.colour: " in refused.err
    assert api.client.list_integrations()["data"] == []
    assert CANARY not in refused.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: [", "hub.yaml:2:1: "),
        ("name: a\nname: b\n", "hub.yaml:2:1: the key name is there twice"),
        (f"{BILLING}---\n{BILLING}", "hub.yaml:5:7: name: is the name of another document"),
        ("base_url: http://127.0.0.1:9\n", "hub.yaml:1:1: name: "),
        ("type: database\nname: crm\nbase_url: x\n", "hub.yaml:3:11: base_url: "),
    ],
    ids=range(5),
)
def test_a_file_that_is_wrong_says_where(
    hub: Hub, api: Served, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "hub.yaml").write_text(content)
    refused = hub("integrations", "apply", str(tmp_path / "hub.yaml"), "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert f"{tmp_path}/{said}" in refused.err


def test_what_cannot_be_read_is_a_sentence(hub: Hub, api: Served, tmp_path: Path) -> None:
    missing = hub("integrations", "apply", str(tmp_path / "no.yaml"), "--yes")
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in hub("integrations", "apply", str(tmp_path / "bytes.yaml"), "-y").err


class Terminal(io.StringIO):
    """Somebody who can be asked."""

    def isatty(self) -> bool:
        return True


def test_who_is_at_a_terminal_is_asked(
    hub: Hub, api: Served, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    declined = hub("integrations", "apply", str(file))
    assert (declined.code, "Apply this?" in declined.err) == (1, True)
    assert api.client.list_integrations()["data"] == []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert hub("integrations", "apply", str(file)).code == 0
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    unasked = hub("integrations", "apply", str(file))
    assert (unasked.code, unasked.out, unasked.err) == (0, "2 unchanged.\n", "")


def test_nobody_is_asked_in_a_pipe(
    hub: Hub, api: Served, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"integrations": [{"name": "a", "base_url": "http://127.0.0.1:9"}]}).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text), isatty=lambda: False))
    refused = hub("integrations", "apply", str(file))
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert hub("integrations", "apply", "-").code == 2
    done = hub("integrations", "apply", "-", "--yes", "--json")
    assert (done.code, done.json["data"][0]["action"]) == (0, "create")


DEFINITIONS: list[dict[str, Any]] = [
    {"name": "plain", "base_url": "https://127.0.0.1"},
    {
        "name": "rich",
        "description": "Many\nlines: with 'quotes' and # signs",
        "base_url": "https://127.0.0.1/v2",
        "auth": {"mode": "template", "headers": {"X-A": "{{ a }}"}, "secrets": {"a": CANARY}},
        "headers": {"X-On": "on", "X-Number": "007"},
        "timeout_seconds": 0.5,
        "retry_policy": {"max_retries": 5},
        "error_mapping": [{"when": {"statuses": [409, "5xx"]}, "then": "retry"}],
        "rate_limit": {"limits": [{"limit": 5}], "on_limit": "reject"},
        "request_transform": [{"set": {"query.v": "1"}}],
        "operations": {
            "list": {
                "path": "/users",
                "query": {"active": True},
                "pagination": {"kind": "cursor", "items": "data", "cursor": "next", "parameter": "cursor"},
                "input_schema": {"type": "object", "default": {}},
            },
            "make.user": {"method": "POST", "path": "/users", "body_type": "form", "safe": False},
        },
        "access": {"allowed_operations": ["list", "make.*"]},
        "data_policy": {"redact": ["input.body.card"], "retention_days": 7},
        "health_check": {"operation": "list", "interval_seconds": 30},
        "status": "maintenance",
        "tags": ["eu", "no"],
    },
    {
        "name": "graph",
        "protocol": "graphql",
        "base_url": "https://127.0.0.1",
        "settings": {"path": "/graphql", "schema": "type Query {\n  user(id: ID!): String\n}\n"},
        "auth": {"mode": "basic", "username": "kim", "password": CANARY},
        "operations": {"user": {"document": "query U($id: ID!) {\n  user(id: $id)\n}\n"}},
    },
    {
        "name": "tokens",
        "type": "oauth",
        "base_url": "https://127.0.0.1",
        "auth": {
            "mode": "oauth2",
            "grant": "client_credentials",
            "token_url": "https://127.0.0.1/token",
            "client_id": "hub",
            "client_secret": CANARY,
            "scopes": ["a", "b"],
        },
    },
    {
        "name": "orders",
        "type": "database",
        "base_url": "postgresql://127.0.0.1:5432/orders",
        "auth": {"mode": "basic", "username": "kim", "password": CANARY},
        "operations": {"one": {"sql": "SELECT 1"}},
    },
]


@pytest.mark.parametrize("form", [(), ("--full",), ("--json",)], ids=["yaml", "full", "json"])
def test_what_is_exported_is_applied_without_a_change(
    hub: Hub,
    api: Served,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: tuple[str, ...],
) -> None:
    api.client.apply_integrations(DEFINITIONS)
    before = {one["name"]: one for one in api.client.list_integrations()["data"]}
    exported = hub("integrations", "export", *form)
    assert (exported.code, exported.err) == (0, "")
    assert CANARY not in exported.out
    for variable in ("RICH_SECRETS_A", "GRAPH_PASSWORD", "TOKENS_CLIENT_SECRET", "ORDERS_PASSWORD"):
        assert f"${{{variable}}}" in exported.out
        monkeypatch.setenv(variable, CANARY)
    path = tmp_path / "out.yaml"
    path.write_text(exported.out)
    applied = hub("integrations", "apply", str(path), "--yes")
    assert (applied.code, applied.out) == (0, "5 unchanged.\n")
    # On a hub that has none of them they become what they were.
    for one in before.values():
        api.client.delete_integration(one["id"])
    assert hub("integrations", "apply", str(path), "--yes").code == 0
    for one in api.client.list_integrations()["data"]:
        own = {"id", "created_at", "updated_at", "version", "auth"}
        was = before[one["name"]]
        assert {k: v for k, v in one.items() if k not in own} == {
            k: v for k, v in was.items() if k not in own
        }
    assert secrets_of(engine) == {CANARY}


def test_an_export_says_only_what_is_not_usual(hub: Hub, api: Served) -> None:
    api.client.apply_integrations(DEFINITIONS)
    assert hub("integrations", "export", "plain").out == (
        "name: plain\ntype: api\nbase_url: https://127.0.0.1\n"
    )
    rich = hub("integrations", "export", "rich").out
    assert "retry_policy:\n  max_retries: 5\n" in rich
    assert "'no'" in rich
    graph = hub("integrations", "export", "graph").out
    assert "document: |\n" in graph
    tagged = hub("integrations", "export", "--tag", "eu", "--json").json
    assert [one["name"] for one in tagged["integrations"]] == ["rich"]
    both = hub("integrations", "export", "plain", "graph").out
    assert both.count("---\n") == 1
    assert hub("integrations", "export", "plain", "--tag", "eu").code == 2
    assert hub("integrations", "export", "nobody").code == 1


def test_integrations_are_listed_shown_and_deleted(hub: Hub, api: Served) -> None:
    api.client.apply_integrations(DEFINITIONS)
    listed = hub("integrations", "list", "--type", "database")
    assert all(text in listed.out for text in ("orders", "database", "basic", "active"))
    assert "graph" not in listed.out
    assert [one["name"] for one in hub("integrations", "list", "--tag", "eu", "--json").json["data"]] == [
        "rich"
    ]
    assert "rich" in hub("integrations", "list", "--status", "maintenance").out
    assert "There is more" in hub("integrations", "list", "--limit", "1").err
    shown = hub("integrations", "show", "rich")
    assert (shown.code, CANARY in shown.out) == (0, False)
    assert hub("integrations", "show", "rich", "--version", "1", "--json").json["document"]["name"] == "rich"
    assert hub("integrations", "delete", "rich", "--version", "2").code == 1
    key = hub("integrations", "show", "rich", "--json").json["id"]
    gone = hub("integrations", "delete", "rich", "--version", "1", "--json")
    assert (gone.code, gone.json) == (0, {"id": key, "deleted": True})
    assert hub("integrations", "show", "rich").code == 1


def test_versions_are_listed_compared_and_brought_back(hub: Hub, api: Served) -> None:
    key = api.new_integration()
    api.client.update_integration(key, timeout_seconds=5, description="slow\nand long")
    assert [one["version"] for one in hub("integrations", "versions", "crm", "--json").json] == [2, 1]
    assert hub("integrations", "versions", "crm", "--before", "2").out.count("\n") > 1
    compared = hub("integrations", "diff", "crm", "1", "--exit-code")
    assert (compared.code, "  - timeout_seconds: 30.0\n  + timeout_seconds: 5.0\n" in compared.out) == (
        1,
        True,
    )
    assert hub("integrations", "diff", "crm", "1", "1", "--exit-code").code == 0
    assert hub("integrations", "diff", "crm", "2", "1", "--json").json["to_version"] == 1
    rolled = hub("integrations", "rollback", "crm", "1")
    assert rolled.out.endswith(f"{key} is as in version 1, at version 3\n")
    assert "  + timeout_seconds: 30.0\n" in rolled.out
    again = hub("integrations", "rollback", "crm", "1")
    assert (again.code, "says the same" in again.err) == (1, True)
    assert hub("integrations", "diff", "crm", "9").code == 1


def test_what_an_integration_can_be_made_of_is_told(hub: Hub, api: Served) -> None:
    every = hub("integrations", "kinds")
    assert all(text in every.out for text in ("database", "postgresql://", "oauth2", "rest"))
    assert "operations.NAME.path" in hub("integrations", "kinds", "rest").out
    bearer = hub("integrations", "kinds", "bearer")
    assert ("auth.token" in bearer.out, "secret" in bearer.out) == (True, True)
    assert hub("integrations", "kinds", "bearer", "--json").json["auth"]["title"] == "BearerAuth"
    nothing = hub("integrations", "kinds", "nonsense")
    assert (nothing.code, nothing.err.count("\n")) == (1, 1)


def test_a_quota_is_shown_with_what_is_used(hub: Hub, api: Served) -> None:
    key = api.new_integration()
    assert "no quota" in hub("integrations", "usage", "crm").err
    api.client.update_integration(key, quota={"calls_per_day": 10})
    used = hub("integrations", "usage", "crm")
    assert (used.err, "0 of 10" in used.out) == ("", True)
    assert hub("integrations", "usage", "crm", "--json").json["day"]["calls_limit"] == 10


def test_a_test_that_fails_exits_with_1(hub: Hub, api: Served) -> None:
    api.new_integration()
    tested = hub("integrations", "test", "crm", "get_user", "--input", '{"path": {"id": 1}}')
    assert (tested.code, tested.out) == (1, "")
    assert tested.err.startswith("connect_refused: ")
    assert hub("integrations", "test", "crm", "--json").json["ok"] is False
    wrong = hub("integrations", "test", "crm", "get_user")
    assert (wrong.code, "path.id" in wrong.err) == (1, True)
    assert hub("integrations", "test", "crm", "get_user", "--input", "[]").code == 2
