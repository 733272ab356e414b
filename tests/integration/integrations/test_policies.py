"""What is kept of executions, and for how long."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.core.ids import Kind, floor_uuid, new_uuid, parse_id
from hub.db import partitions
from hub.monitoring.retention import prune_integrations
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

CARD = "4111-1111-1111-1111"
IBAN = "DE89370400440532013000"
REDACT = ["input.body.card", "input.path.id", "data.customer.iban", "data.items.iban"]
SAID = {"customer": {"iban": IBAN, "name": "Zoë"}, "items": [{"iban": IBAN, "n": 1}, {"n": 2}]}
OPERATIONS = {"pay": {"method": "PUT", "path": "/pay/{id}"}}


def create(world: World, provider: Provider, **policy: Any) -> dict[str, Any]:
    return world.create(provider.url, operations=OPERATIONS, data_policy=policy)


def pay(world: World, made: dict[str, Any]) -> str:
    return world.execute(made["id"], "pay", path={"id": CARD}, body={"card": CARD, "amount": 12})


def stored(world: World) -> str:
    texts = []
    for table in ("execution", "attempt"):
        texts += [str(row[0]) for row in world.sql(f"SELECT to_jsonb(t)::text FROM hub.{table} t")]
    # Excerpts are bytes.
    texts += [bytes(row[0]).decode() for row in world.sql("SELECT response_body FROM hub.attempt") if row[0]]
    return "\n".join(texts)


def answering(provider: Provider, *statuses: int) -> None:
    provider.script = [Answer(status, json.dumps(SAID).encode()) for status in statuses]


def test_fields_are_masked_in_inputs_answers_attempts_and_requests(world: World, provider: Provider) -> None:
    made = create(world, provider, redact=REDACT)
    answering(provider, 200, 400, 503)
    good, bad, waiting = pay(world, made), pay(world, made), pay(world, made)
    world.run_executions(capacity=1)
    assert CARD in provider.calls[0].path
    assert json.loads(provider.calls[0].body)["card"] == CARD
    for execution in (good, bad):
        detail = world.read(execution)
        assert detail["input"] == {"path": {"id": "***"}, "body": {"card": "***", "amount": 12}}
        assert detail["result"]["data"]["customer"] == {"iban": "***", "name": "Zoë"}
        assert detail["result"]["data"]["items"] == [{"iban": "***", "n": 1}, {"n": 2}]
        assert detail["request"] == {"method": "PUT"}
    excerpt = json.loads(world.read(bad)["attempt_log"][0]["response_body"])
    assert excerpt["customer"]["iban"] == "***"
    # What waits needs its input; what the service said is masked already.
    assert world.read(waiting)["state"] == "due"
    assert IBAN not in stored(world)
    assert world.call("POST", f"/executions/{waiting}/cancel").status_code == 200
    assert CARD not in stored(world)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (f"iban={IBAN}".encode(), {}),
        (f"iban={IBAN}\xff".encode("latin-1"), {}),
        (b'{"a":"' + IBAN.encode(), {}),
    ],
    ids=["text", "bytes", "broken JSON"],
)
def test_what_has_no_paths_is_rather_not_kept(
    world: World, provider: Provider, body: bytes, headers: dict[str, str]
) -> None:
    made = create(world, provider, redact=["data.iban"])
    provider.script = [Answer(200, body, headers), Answer(400, body, headers)]
    for _ in range(2):
        pay(world, made)
        world.run_executions()
    assert IBAN not in stored(world)
    assert world.sql("SELECT count(*) FROM hub.execution WHERE data IS NULL AND NOT data_base64")[0][0] == 2


def test_a_long_failed_answer_is_masked_before_it_is_cut(world: World, provider: Provider) -> None:
    made = create(world, provider, redact=["data.iban"])
    provider.script = [Answer(400, json.dumps({"iban": IBAN, "pad": "x" * 20_000}).encode())]
    execution = pay(world, made)
    world.run_executions()
    (attempt,) = world.read(execution)["attempt_log"]
    assert attempt["response_body"].startswith('{"iban": "***"')
    assert attempt["truncated"] is True
    assert IBAN not in stored(world)


def test_of_errors_alone_the_contents_are_kept(world: World, provider: Provider) -> None:
    made = create(world, provider, store="errors")
    answering(provider, 200, 400)
    good, bad = pay(world, made), pay(world, made)
    world.run_executions(capacity=1)
    detail = world.read(good)
    assert (detail["input"], detail["request"], detail["result"]["data"]) == ("***", None, None)
    assert (detail["status"], detail["metrics"]["data_size"]) == (200, len(json.dumps(SAID)))
    kept = world.read(bad)
    assert kept["input"]["body"]["card"] == CARD
    assert kept["result"]["data"] == SAID
    assert kept["attempt_log"][0]["response_body"]


def test_of_none_nothing_but_the_facts_is_kept(world: World, provider: Provider) -> None:
    made = create(world, provider, store="none")
    answering(provider, 200, 400)
    ids = [pay(world, made), pay(world, made)]
    world.run_executions(capacity=1)
    waiting = pay(world, made)
    world.call("POST", f"/executions/{waiting}/cancel")
    assert CARD not in stored(world)
    assert IBAN not in stored(world)
    good, bad = (world.read(one) for one in ids)
    assert [one["status"] for one in (good, bad)] == [200, 400]
    assert [one["error"] and one["error"]["type"] for one in (good, bad)] == [None, "http_4xx"]
    (attempt,) = bad["attempt_log"]
    assert (attempt["status"], attempt["response_body"], attempt["response_headers"]) == (400, None, None)


@pytest.mark.parametrize("policy", [{"store": "none"}, {"redact": REDACT}], ids=["none", "redact"])
def test_what_was_not_kept_whole_is_not_repeated_as_if_it_were(
    world: World, provider: Provider, policy: dict[str, Any]
) -> None:
    made = create(world, provider, **policy)
    execution = pay(world, made)
    world.run_executions()
    refused = world.call("POST", f"/executions/{execution}/replay")
    assert refused.status_code == 422
    assert [error["path"] for error in refused.json()["errors"]] == ["input"]
    assert "not kept whole" in refused.json()["detail"]
    given = {"input": {"path": {"id": 1}, "body": {"card": CARD}}}
    assert world.call("POST", f"/executions/{execution}/replay", json=given).status_code == 202
    world.run_executions()
    assert [call.path for call in provider.calls] == [f"/pay/{CARD}", "/pay/1"]


def test_an_integration_may_be_forgotten_earlier_than_the_others(world: World, provider: Provider) -> None:
    short = create(world, provider, retention_days=2)
    usual = world.create(provider.url, name="usual", operations=OPERATIONS)
    now = datetime.now(UTC)
    with world.engine.begin() as conn:
        for days in (5, 1):
            partitions.ensure(conn, (now - timedelta(days=days)).date())
    provider.default = lambda _call: Answer(400)
    rows: dict[tuple[str, int, str], str] = {}
    for made in (short, usual):
        for days in (5, 1, 0):
            for state in ("failed", "due"):
                execution = pay(world, made)
                world.run_executions() if state == "failed" else None
                rows[made["name"], days, state] = aged(world, execution, now - timedelta(days=days))
    world.sql("INSERT INTO hub.audit_entry (id, tenant_id, action, subject) VALUES (:id, :t, 'a.b', 'x')",
              id=floor_uuid(now - timedelta(days=500)), t=world.tenant_id)  # fmt: skip
    world.sql("INSERT INTO hub.integration_usage (integration_id, period, begins) VALUES (:id, 'day', '2024-01-01')",
              id=new_uuid())  # fmt: skip
    audit_before = world.sql("SELECT count(*) FROM hub.audit_entry")[0][0]

    counts = prune_integrations(world.engine, world.services.settings, now)
    assert counts == {"executions": 1, "audit_entries": 1, "usage": 1}
    left = {row.id.hex for row in world.sql("SELECT id FROM hub.execution")}
    gone = {key for key, one in rows.items() if one not in left}
    assert gone == {("provider", 5, "failed")}
    orphans = "SELECT count(*) FROM hub.attempt a WHERE NOT EXISTS (SELECT 1 FROM hub.execution e WHERE e.id = a.work_id)"
    assert world.sql(orphans)[0][0] == 0
    assert world.sql("SELECT count(*) FROM hub.audit_entry")[0][0] == audit_before - 1
    assert prune_integrations(world.engine, world.services.settings, now) == dict.fromkeys(counts, 0)


def aged(world: World, execution: str, at: datetime) -> str:
    """Give an execution and its attempts the ids of another moment."""
    old = parse_id(Kind.EXECUTION, execution)
    new = new_uuid(int(at.timestamp() * 1000))
    world.sql(
        "UPDATE hub.execution SET id = :new, due_at = now() + interval '1 day' WHERE id = :old",
        new=new,
        old=old,
    )
    world.sql("UPDATE hub.attempt SET work_id = :new, id = :attempt WHERE work_id = :old",
              new=new, old=old, attempt=new_uuid(int(at.timestamp() * 1000) + 5))  # fmt: skip
    return new.hex
