from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from hub.client import HttpClient, HubApiError, HubUnreachable, Json
from tests.integration.client.served import Served


def count(engine: Engine, table: str) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM hub.{table}")).scalar_one())


def test_a_published_event_is_there_with_the_bytes_of_its_data(served: Served, engine: Engine) -> None:
    receipt = served.client.publish("invoice.paid", Json('{"z": 1.00, "a": "ü"}'), id="mine")
    assert receipt["status"] == "accepted"
    event = served.client.get_event(receipt["id"])
    assert (event["type"], event["event_id"], event["source"]) == ("invoice.paid", "mine", "http")
    with engine.connect() as conn:
        assert conn.execute(text("SELECT data FROM hub.message")).scalar_one() == '{"z": 1.00, "a": "ü"}'


def test_an_id_or_a_key_that_comes_again_is_one_event(served: Served, engine: Engine) -> None:
    first = served.client.publish("a", 1, id="mine")
    assert served.client.publish("a", 1, id="mine") == {"id": first["id"], "status": "duplicate"}
    second = served.client.publish("a", 2, idempotency_key="k")
    assert served.client.publish("a", 2, idempotency_key="k") == {"id": second["id"], "status": "duplicate"}
    assert count(engine, "message") == 2
    with pytest.raises(HubApiError, match="other content") as caught:
        served.client.publish("a", 3, id="mine")
    assert (caught.value.status, caught.value.code) == (409, "conflict")


def test_a_list_gets_a_receipt_for_each(served: Served) -> None:
    receipts = served.client.publish_many(
        [{"type": "a", "data": i, "id": f"e{i % 2}-{i // 2}"} for i in range(100)]
    )
    assert [receipt["status"] for receipt in receipts] == ["accepted"] * 100
    assert len({receipt["id"] for receipt in receipts}) == 100
    assert len(list(served.client.iterate("events", limit=30))) == 100


def test_a_refusal_names_the_fields_and_the_request(served: Served, engine: Engine) -> None:
    with pytest.raises(HubApiError) as caught:
        served.client.publish_many([{"type": "good", "data": 1}, {"type": "not good", "data": 1}])
    assert caught.value.status == 422
    assert [field.path for field in caught.value.errors] == ["1.type"]
    assert (caught.value.request_id or "").startswith("req_")
    assert count(engine, "message") == 0


def test_a_wrong_key_is_told(served: Served) -> None:
    with pytest.raises(HubApiError) as caught:
        HttpClient(served.url, served.key[:-1] + ("y" if served.key.endswith("x") else "x")).list_events()
    assert (caught.value.status, caught.value.code) == (401, "unauthenticated")


def test_executions_are_accepted_once_read_listed_and_cancelled(served: Served, engine: Engine) -> None:
    integration = served.new_integration()
    made = served.client.execute(integration, "get_user", {"path": {"id": 7}}, idempotency_key="k")
    again = served.client.execute(integration, "get_user", {"path": {"id": 7}}, idempotency_key="k")
    assert made["id"] == again["id"]
    assert count(engine, "execution") == 1
    detail = served.client.get_execution(made["id"])
    assert (detail["state"], detail["operation"], detail["input"]) == ("due", "get_user", {"path": {"id": 7}})
    page = served.client.list_executions(integration=integration, state="due", limit=1)
    assert [row["id"] for row in page["data"]] == [made["id"]]
    assert page["next_cursor"] is None
    assert served.client.cancel_execution(made["id"])["state"] == "cancelled"
    with pytest.raises(HubApiError, match="already"):
        served.client.cancel_execution(made["id"])


def test_waiting_in_vain_ends_with_what_was_accepted(served: Served) -> None:
    answer = served.client.execute(served.new_integration(), "get_user", {"path": {"id": 7}}, wait=1)
    assert answer["state"] == "due"
    assert "result" not in answer


def test_endpoints_are_made_changed_and_deleted(served: Served) -> None:
    made = served.client.create_endpoint(
        name="billing", url="http://127.0.0.1:9/hook", event_types=["invoice.*"]
    )
    assert made["signing_secret"].startswith("whsec_")
    changed = served.client.update_endpoint(made["id"], status="paused")
    assert (changed["status"], served.client.get_endpoint(made["id"])["status"]) == ("paused", "paused")
    assert [row["id"] for row in served.client.list_endpoints()["data"]] == [made["id"]]
    served.client.delete_endpoint(made["id"])
    assert served.client.list_endpoints()["data"] == []
    with pytest.raises(HubApiError, match="404"):
        served.client.get_endpoint(made["id"])


def test_integrations_are_made_changed_and_deleted(served: Served) -> None:
    made = served.new_integration()
    assert served.client.update_integration(made, status="maintenance")["status"] == "maintenance"
    assert served.client.get_integration(made)["version"] == 2
    assert [row["id"] for row in served.client.list_integrations(status="maintenance")["data"]] == [made]
    served.client.delete_integration(made)
    assert served.client.list_integrations()["data"] == []


def test_deliveries_of_an_event_are_listed(served: Served) -> None:
    receipt = served.client.publish("a", 1)
    assert served.client.list_deliveries(event=receipt["id"])["data"] == []
    assert served.client.list_deliveries(state="done")["data"] == []
    with pytest.raises(ValueError, match="narrowed"):
        served.client.list_deliveries(event=receipt["id"], state="done")


def test_threads_share_one_client(served: Served, engine: Engine) -> None:
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda i: served.client.publish("a", i, id=f"e{i}"), range(80)))
    assert len({receipt["id"] for receipt in receipts}) == count(engine, "message") == 80


def test_a_client_that_was_closed_opens_again(served: Served) -> None:
    served.client.close()
    assert served.client.list_events()["data"] == []


def test_nobody_there_is_told_with_the_address() -> None:
    with pytest.raises(HubUnreachable, match=r"http://127.0.0.1:9 could not be reached .*tried 2 times"):
        HttpClient("http://127.0.0.1:9", "hub_key", retries=1).list_events()
