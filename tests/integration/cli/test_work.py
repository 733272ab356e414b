"""publish, execute, executions, deliveries: against a served API."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, text

from hub.access.issuing import issue_key
from hub.access.scopes import Scope
from hub.client import HttpClient
from hub.core.ids import Kind, child_uuid, parse_id
from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served


def data_of(engine: Engine) -> list[tuple[str, str | None, str]]:
    with engine.connect() as conn:
        return [
            tuple(row)
            for row in conn.execute(text("SELECT data, event_id, source FROM hub.message ORDER BY id"))
        ]


def test_publish_takes_text_a_file_and_standard_input(
    hub: Hub, api: Served, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub("publish", "a.b", '{"n": 1.00}', "--id", "mine", "--json").json["status"] == "accepted"
    assert hub("publish", "a.b", '{"n": 1.00}', "--id", "mine").out.split()[1] == "duplicate"
    (tmp_path / "e.json").write_text('{"n": 2}\n')
    assert hub("publish", "a.b", f"@{tmp_path / 'e.json'}").code == 0
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"[3]")))
    assert hub("publish", "a.b", "-").code == 0
    assert data_of(engine) == [
        ('{"n": 1.00}', "mine", "http"),
        ('{"n": 2}', None, "http"),
        ("[3]", None, "http"),
    ]


def test_publish_for_a_tenant_needs_no_key(
    hub: Hub, served: Served, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub("publish", "a.b", "1", "--tenant", "acme", "--id", "mine").code == 0
    assert (
        hub("publish", "a.b", "1", "--tenant", served.tenant, "--id", "mine", "--json")
        .json["id"]
        .startswith("msg_")
    )
    assert data_of(engine) == [("1", "mine", "sql")]
    conflict = hub("publish", "a.b", "2", "--tenant", "acme", "--id", "mine")
    assert (conflict.code, conflict.err) == (1, "hub: Mine was used before with other content.\n")
    wrong = hub("publish", "a b", "2", "--tenant", "acme")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert "dotted words" in wrong.err
    nobody = hub("publish", "a", "2", "--tenant", "nobody")
    assert (nobody.code, "no tenant nobody" in nobody.err) == (1, True)


def options_of(engine: Engine) -> tuple[list[str] | None, str | None, datetime, datetime]:
    with engine.connect() as conn:
        row = conn.execute(text("SELECT labels, ordering_key, deliver_at, expires_at FROM hub.message")).one()
    return row.labels, row.ordering_key, row.deliver_at, row.expires_at


@pytest.mark.parametrize("door", [(), ("--tenant", "acme")], ids=["api", "tenant"])
def test_the_options_of_an_event_are_published_by_both_doors(
    hub: Hub, api: Served, engine: Engine, door: tuple[str, ...]
) -> None:
    before = datetime.now(UTC)
    published = hub(
        "publish", "a.b", "1", "--label", "eu", "--label", "big", "--ordering-key", "customer-7",
        "--deliver-at", "2h", "--expires-at", (before + timedelta(days=3)).isoformat(), *door,
    )  # fmt: skip
    assert (published.code, published.err) == (0, "")
    labels, key, deliver_at, expires_at = options_of(engine)
    assert (labels, key, expires_at) == (["eu", "big"], "customer-7", before + timedelta(days=3))
    assert before + timedelta(hours=2) <= deliver_at <= datetime.now(UTC) + timedelta(hours=2)


@pytest.mark.parametrize("door", [(), ("--tenant", "acme"), ("--dry-run",)], ids=["api", "tenant", "dry run"])
@pytest.mark.parametrize(
    ("option", "value", "code", "said"),
    [
        ("--label", "no label", 1, "label"),
        ("--ordering-key", "two words", 1, "ordering_key must be 1 to 128 visible ASCII characters"),
        ("--deliver-at", "366d", 1, "deliver_at must be within 365 days"),
        ("--deliver-at", "tomorrow", 2, "expected how long from now"),
        ("--expires-at", "2020-01-01T00:00:00Z", 1, "expires_at must be in the future"),
        ("--expires-at", "2030-01-01T00:00:00", 2, "a time with its offset"),
    ],
)
def test_a_wrong_option_is_a_sentence_and_nothing_is_written(
    hub: Hub,
    api: Served,
    engine: Engine,
    door: tuple[str, ...],
    option: str,
    value: str,
    code: int,
    said: str,
) -> None:
    refused = hub("publish", "a.b", "1", option, value, *door)
    assert (refused.code, refused.out) == (code, "")
    assert said.lower() in refused.err.lower().replace(": must", " must")
    assert data_of(engine) == []


def test_a_dry_run_shows_who_would_get_it_and_writes_nothing(hub: Hub, api: Served, engine: Engine) -> None:
    made = api.client.create_endpoint(name="eu", url="http://127.0.0.1:9/x", labels=["eu"])
    api.client.create_endpoint(name="other", url="http://127.0.0.1:9/x", event_types=["z"])
    shown = hub("publish", "a.b", "1", "--label", "eu", "--dry-run")
    assert (shown.code, made["id"] in shown.out) == (0, True)
    assert "1 endpoints would get it. 1 others were not asked." in shown.out
    (one,) = hub("publish", "a.b", "1", "--dry-run", "--json").json["endpoints"]
    assert (one["would_send"], one["reason"]) == (False, "labels")
    both = hub("publish", "a.b", "1", "--dry-run", "--tenant", "acme")
    assert (both.code, "--tenant" in both.err) == (2, True)
    assert data_of(engine) == []


def test_what_the_catalogue_says_of_an_event_is_told(hub: Hub, api: Served) -> None:
    for name, validation in (("a.b", "warn"), ("a.c", "enforce")):
        api.client.create_event_type(name, schema={"required": ["n"]}, validation=validation)
    warned = hub("publish", "a.b", "{}")
    assert (warned.code, warned.err) == (0, "Warning: data.n: is required\n")
    assert hub("publish", "a.b", "{}", "--dry-run").err.startswith("Warning: data.n: is required\n")
    refused = hub("publish", "a.c", "{}", "--dry-run")
    assert refused.code == 1
    assert refused.err.endswith("hub: The event would be refused.\n  data.n: is required\n")
    assert hub("publish", "a.c", "{}", "--dry-run", "--json").json["accepted"] is False


def test_a_refusal_is_a_sentence_with_the_fields(hub: Hub, api: Served, engine: Engine) -> None:
    refused = hub("publish", "not a type", "1")
    assert refused.code == 1
    assert refused.err.startswith("hub: type: must be dotted words")
    assert hub("publish", "a", "{").code == 2
    assert hub("publish", "a").code == 2
    assert data_of(engine) == []


def test_without_a_key_nothing_is_asked(hub: Hub) -> None:
    missing = hub("publish", "a", "1")
    assert (missing.code, missing.err.startswith("hub: HUB_API_KEY is not set")) == (78, True)


@pytest.mark.parametrize(("name", "value"), [("HUB_URL", "nonsense"), ("HUB_API_KEY", "two words canary")])
def test_a_malformed_address_or_key_is_a_wrong_setting(
    hub: Hub, api: Served, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    wrong = hub("publish", "a", "1")
    assert (wrong.code, "canary" in wrong.err) == (78, False)


def test_a_hub_that_is_away_is_told(hub: Hub, api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(HttpClient.__init__, "__kwdefaults__", {"timeout": 1.0, "retries": 0})
    away = hub("executions", "list")
    assert (away.code, away.out) == (1, "")
    assert "http://127.0.0.1:9 could not be reached" in away.err


def test_a_key_without_the_scope_is_refused(
    hub: Hub, api: Served, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as conn:
        _, token = issue_key(conn, parse_id(Kind.TENANT, api.tenant), "reader", [Scope.EVENTS_READ])
    monkeypatch.setenv("HUB_API_KEY", token.reveal())
    refused = hub("publish", "a", "1")
    assert (refused.code, refused.err) == (1, "hub: This API key lacks the scope events:write.\n")


def test_an_execution_is_made_by_name_shown_listed_and_cancelled(hub: Hub, api: Served) -> None:
    integration = api.new_integration()
    made = hub("execute", "crm", "get_user", "--input", '{"path": {"id": 1}}', "--json").json
    assert hub("execute", integration, "get_user", "--input", '{"path": {"id": 2}}').code == 0
    listed = hub("executions", "list", "--integration", integration, "--limit", "1", "--json").json
    assert (len(listed["data"]), listed["next_cursor"] is None) == (1, False)
    assert "There is more: --cursor" in hub("executions", "list", "--limit", "1").err
    assert made["id"] in hub("executions", "list", "--state", "due").out
    assert made["id"] in hub("executions", "show", made["id"]).out
    assert hub("executions", "show", made["id"], "--json").json["input"] == {"path": {"id": 1}}
    assert hub("executions", "cancel", made["id"]).out == f"{made['id']} cancelled\n"
    again = hub("executions", "cancel", made["id"])
    assert (again.code, again.err) == (1, "hub: The execution is cancelled already.\n")


def test_waiting_fails_when_the_time_is_over(hub: Hub, api: Served) -> None:
    waited = hub(
        "execute",
        api.new_integration(),
        "get_user",
        "--input",
        '{"path": {"id": 1}}',
        "--wait",
        "1",
        "--json",
    )
    assert (waited.code, waited.json["state"]) == (1, "due")
    assert "has not ended after 1 s" in waited.err


def test_waiting_ends_with_the_result(hub: Hub, api: Served, engine: Engine) -> None:
    with engine.begin() as conn:
        # What a worker would write: the row is finished the moment it is accepted.
        conn.exec_driver_sql(
            """
            CREATE FUNCTION public.finish() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                NEW.state := 'done';
                NEW.finished_at := now();
                NEW.status := 200;
                NEW.data := '{"a":1}';
                NEW.response_headers := '{"content-type": "application/json"}';
                RETURN NEW;
            END $$"""
        )
        conn.exec_driver_sql(
            "CREATE TRIGGER finish BEFORE INSERT ON hub.execution"
            " FOR EACH ROW EXECUTE FUNCTION public.finish()"
        )
    waited = hub(
        "execute", api.new_integration(), "get_user", "--input", '{"path": {"id": 1}}', "--wait", "5"
    )
    assert (waited.code, waited.out) == (0, '{\n  "a": 1\n}\n')


@pytest.mark.parametrize(
    "arguments",
    [
        ["execute", "crm", "op", "--input", "[1]"],
        ["execute", "crm", "op", "--wait", "-1"],
        ["executions", "list", "--state", "nonsense"],
        ["executions", "list", "--limit", "0"],
        ["deliveries", "list", "--event", "msg_1", "--state", "done"],
        ["deliveries"],
        ["deliveries", "resend", "../../x"],
        ["executions", "show", "nonsense"],
        ["nonsense"],
    ],
)
def test_wrong_usage_exits_with_2(hub: Hub, api: Served, arguments: list[str]) -> None:
    assert hub(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["execute", "nobody", "op"],
        ["executions", "show", "exe_" + "0" * 32],
        ["deliveries", "show", "dlv_" + "0" * 32],
    ],
)
def test_what_is_not_there_exits_with_1_and_a_sentence(hub: Hub, api: Served, arguments: list[str]) -> None:
    ended = hub(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("hub: ")


def test_deliveries_are_listed_shown_and_resent(hub: Hub, api: Served, engine: Engine) -> None:
    endpoint = api.client.create_endpoint(name="e", url="http://127.0.0.1:9/x")["id"]
    event = api.client.publish("a", 1)["id"]
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, state, finished_at, attempt)"
                " SELECT :id, tenant_id, id, :endpoint, 'failed', now(), 3 FROM hub.message"
            ),
            {
                "id": child_uuid(parse_id(Kind.MESSAGE, event)),
                "endpoint": parse_id(Kind.ENDPOINT, endpoint),
            },
        )
    listed = hub("deliveries", "list", "--event", event, "--json").json
    delivery = listed["data"][0]["id"]
    assert delivery in hub("deliveries", "list", "--endpoint", endpoint, "--state", "failed").out
    assert delivery in hub("deliveries", "show", delivery).out
    assert hub("deliveries", "show", delivery, "--json").json["attempt_log"] == []
    assert hub("deliveries", "resend", delivery).out == f"{delivery} due\n"
    assert hub("deliveries", "resend", delivery, "--json").json["state"] == "due"
