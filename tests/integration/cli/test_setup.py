"""migrate, config, and how commands find a hub that runs here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from hub.cli import local_hub
from hub.cli.local_hub import LocalHub
from hub.db.migrate import head
from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served


def test_migrate_brings_an_empty_database_up_to_date(
    hub: Hub, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", empty_database_url)
    missing = hub("migrate", "--check", "--json")
    assert (missing.code, missing.json) == (
        1,
        {"before": None, "now": None, "head": head(), "up_to_date": False},
    )
    made = hub("migrate", "--json")
    assert (made.code, made.json) == (0, {"before": None, "now": head(), "head": head(), "up_to_date": True})
    assert hub("migrate").out == f"The schema is up to date ({head()}).\n"
    assert hub("migrate", "--check").code == 0


def test_migrate_without_a_database_says_how_to_get_one(hub: Hub) -> None:
    ended = hub("migrate")
    assert (ended.code, ended.err.startswith("hub: HUB_DATABASE_URL is not set")) == (78, True)


@pytest.mark.parametrize("command", [["migrate"], ["tenants", "list"], ["keys", "check"]])
def test_a_database_that_is_away_is_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub:canary@127.0.0.1:9/hub")
    monkeypatch.setenv("HUB_MASTER_KEYS", "q0Wf5kPzrjLJX7m3bV8sY2hN4tCgA6xE9uRdZiTaoKU=")
    ended = hub(*command)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("hub: The database said: ")
    assert ended.err.count("\n") == 1
    assert "canary" not in ended.err


def test_config_shows_settings_without_secrets(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub:canary@db/hub")
    monkeypatch.setenv("HUB_MASTER_KEYS", "canary")
    shown = hub("config", "--json")
    rows = {row["name"]: row for row in shown.json}
    assert (rows["HUB_DATABASE_URL"]["value"], rows["HUB_DATABASE_URL"]["source"]) == (
        "postgresql://db/hub",
        "env",
    )
    table = hub("config")
    assert (table.code, "HUB_API_PORT" in table.out) == (0, True)
    assert "canary" not in shown.out + table.out


def test_a_wrong_setting_is_a_sentence_and_exit_code_78(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_API_PORT", "canary")
    wrong = hub("config")
    assert (wrong.code, wrong.out) == (78, "")
    assert wrong.err.startswith("hub: HUB_API_PORT: ")
    assert "canary" not in wrong.err


def test_commands_find_the_hub_that_runs_here(
    hub: Hub, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    given = {name: os.environ[name] for name in ("HUB_DATABASE_URL", "HUB_REDIS_URL", "HUB_MASTER_KEYS")}
    for name in given:
        monkeypatch.delenv(name)
    data = tmp_path / "data"
    (data / "run").mkdir(parents=True)
    (data / "master.key").write_text(given["HUB_MASTER_KEYS"])
    assert hub("tenants", "list").code == 78
    local_hub.write(
        data,
        LocalHub(
            pid=os.getpid(),
            api_url=served.url,
            database_url=given["HUB_DATABASE_URL"],
            redis_url=given["HUB_REDIS_URL"],
            master_keys_file=str(data / "master.key"),
            demo_api_key=served.key,
            demo_tenant="acme",
        ),
    )
    before = dict(os.environ)
    try:
        assert [row["name"] for row in hub("tenants", "list", "--json").json] == ["acme"]
        assert hub("keys", "check").code == 0
        del os.environ["HUB_API_KEY"]  # lent to the command before, in this same process
        published = hub("publish", "a", "1")
        assert published.code == 0
        assert published.err == "HUB_API_KEY is not set: this is tenant acme, with the demo's key.\n"
        # What describes this shell's settings is not completed from elsewhere.
        os.environ.clear()
        os.environ.update(before)
        rows = {row["name"]: row["source"] for row in hub("config", "--json").json}
        assert rows["HUB_DATABASE_URL"] == "default"
    finally:
        os.environ.clear()
        os.environ.update(before)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM hub.message")).scalar_one() == 1


def test_what_an_operator_does_with_tenants_and_keys_is_in_the_audit_log(
    hub: Hub, engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    tenant = hub("tenants", "create", "acme", "--json").json
    made = hub("api-keys", "create", "billing", "--tenant", "acme", "--scopes", "events:read", "--json").json
    assert hub("api-keys", "revoke", made["id"], "--tenant", "acme").code == 0
    with engine.connect() as conn:
        rows = conn.execute(
            text("SELECT action, subject, actor, details::text FROM hub.audit_entry ORDER BY id")
        )
        told = [tuple(row) for row in rows]
    assert [one[:3] for one in told] == [
        ("tenant.opened", tenant["id"], None),
        ("api_key.created", made["id"], None),
        ("api_key.revoked", made["id"], None),
    ]
    assert made["key"] not in str(told)
