"""Integrations end to end: real API, workers and beat, and services on this machine that count what they are asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from tests.integration.net.hostile import Server
from tests.support.receivers import Answer, Inbox, Request
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def ask(hub: RunningHub, method: str, path: str, **options: Any) -> Any:
    """One request to the API; its answer as JSON."""
    headers = {"Authorization": f"Bearer {hub.api_key}", **options.pop("headers", {})}
    answer = requests.request(method, f"{hub.url}/v1{path}", headers=headers, timeout=30, **options)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def executions(hub: RunningHub, **chosen: Any) -> list[Any]:
    found: list[Any] = ask(hub, "GET", "/executions", params={"limit": 100, **chosen})["data"]
    return found


def batch(hub: RunningHub, integration: str, operation: str, count: int) -> str:
    items = [{"operation": operation} for _ in range(count)]
    return str(ask(hub, "POST", f"/integrations/{integration}/execute-batch", json={"items": items})["id"])


def end_of(hub: RunningHub, batch_id: str) -> dict[str, int]:
    """How many of a batch's executions ended in which state."""
    path = f"/execution-batches/{batch_id}"
    until(lambda: (found := ask(hub, "GET", path))["finished"] == found["total"], what="the end of a batch")
    states: dict[str, int] = ask(hub, "GET", path)["states"]
    return states


def test_a_schedule_starts_executions_by_beat_until_it_is_paused(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    integration = hub.http.create_integration(
        name=word, base_url=inbox.url, operations={"sync": {"path": "/sync"}}
    )
    schedule = ask(
        hub,
        "POST",
        f"/integrations/{integration['id']}/schedules",
        json={"name": word, "operation": "sync", "input": {"query": {"by": "clock"}}, "every_seconds": 1},
    )
    inbox.wait(5)
    ask(hub, "PATCH", f"/schedules/{schedule['id']}", json={"paused": True})
    until(
        lambda: all(one["finished_at"] for one in executions(hub, schedule=schedule["id"])),
        what="the end of what was started",
    )
    started = executions(hub, schedule=schedule["id"])
    assert {(one["source"], one["state"]) for one in started} == {("schedule", "done")}
    assert len({one["id"] for one in started}) == len(inbox.requests), "a moment is started once"
    assert {request.path for request in inbox.requests} == {"/sync?by=clock"}
    gaps = [b.at - a.at for a, b in zip(inbox.requests, inbox.requests[1:], strict=False)]
    assert max(gaps) < 3
    # The first may have been late; never are there more than the seconds that went by, and the one they began with.
    assert sum(gaps) > len(gaps) - 1


def test_an_event_becomes_a_call_and_its_answer_an_event_in_one_trace(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    with Inbox() as crm:
        crm.answer = lambda request: Answer(
            body=json.dumps({"deal": 7, "got": json.loads(request.body)}).encode()
        )
        integration = hub.http.create_integration(
            name=word, base_url=crm.url, operations={"create_deal": {"method": "POST", "path": "/deals"}}
        )
        endpoint = hub.http.create_endpoint(name=word, url=inbox.url, event_types=[f"{word}.*"])
        flow = hub.http.create_flow(
            word,
            [f"{word}.paid"],
            integration["id"],
            "create_deal",
            filter={"data.total": {"$gt": 100}},
            mapping=[{"rename": {"data": "body"}}, {"pick": ["body"]}],
            publish=[{"on": "succeeded", "event_type": f"{word}.made", "mapping": [{"pick": ["data.deal"]}]}],
        )
        tried = hub.http.test_flow(flow["id"], f"{word}.paid", {"total": 200})
        assert (tried["starts"], tried["input"]) == (True, {"body": {"total": 200}})
        for total in (20, 200):
            ask(
                hub,
                "POST",
                "/events",
                json={"type": f"{word}.paid", "data": {"total": total}},
                headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
            )
        inbox.wait(3)
        calls = crm.requests

    assert [json.loads(call.body) for call in calls] == [{"total": 200}], (
        "the filter keeps the small one away"
    )
    (execution,) = hub.http.list_executions(flow=flow["id"])["data"]
    assert (execution["source"], execution["state"], execution["trace_id"]) == ("flow", "done", TRACE)
    delivered = [(json.loads(one.body)["type"], json.loads(one.body)["data"]) for one in inbox.requests]
    assert sorted(delivered, key=repr) == sorted(
        [
            (f"{word}.paid", {"total": 20}),
            (f"{word}.paid", {"total": 200}),
            (f"{word}.made", {"data": {"deal": 7}}),
        ],
        key=repr,
    )
    seen = [*calls, *inbox.requests]
    assert {request.headers["traceparent"].split("-")[1] for request in seen} == {TRACE}

    (again,) = hub.http.publish_flow(flow["id"], [execution["id"]])
    inbox.wait(4)
    (repeated,) = (one for one in inbox.requests if one.headers["webhook-id"] == again["event"])
    assert json.loads(repeated.body)["data"] == {"data": {"deal": 7}}
    assert len(crm.requests) == len(calls), "nobody is called again"
    hub.http.delete_flow(flow["id"])
    hub.http.delete_endpoint(endpoint["id"])


def test_a_call_under_way_is_cut_off_when_its_execution_is_cancelled(hub: RunningHub, word: str) -> None:
    asked, ended = [], []

    def never_answers(server: Server, sock: socket.socket) -> None:
        asked.append(server.read_request(sock))
        ended.append(sock.recv(1))  # empty when the other side has closed

    with Server(never_answers).running() as server:
        integration = hub.http.create_integration(
            name=word,
            base_url=f"http://127.0.0.1:{server.port}",
            operations={"slow": {"path": "/slow"}},
            timeout_seconds=60,
        )
        accepted = hub.http.execute(integration["id"], "slow")
        until(lambda: asked, what="the call")
        assert hub.http.cancel_execution(accepted["id"])["state"] == "cancelled"
        # Its timeout would be a minute.
        until(lambda: ended, seconds=20, what="the end of the connection")
        assert ended == [b""]
    execution = hub.http.get_execution(accepted["id"])
    assert (execution["state"], execution["reason"]) == ("cancelled", "cancelled")


def test_a_batch_stays_within_the_rate_and_every_call_is_made_once(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    integration = hub.http.create_integration(
        name=word,
        base_url=inbox.url,
        operations={"ping": {"path": "/ping"}},
        rate_limit={"limits": [{"limit": 10, "per_seconds": 1, "burst": 2}]},
    )
    assert end_of(hub, batch(hub, integration["id"], "ping", 25)) == {"done": 25}
    times = sorted(request.at for request in inbox.requests)
    assert len(times) == 25
    assert max(sum(begin <= at < begin + 1 for at in times) for begin in times) <= 10 + 2
    assert times[-1] - times[0] > 2
    found = executions(hub, integration=integration["id"])
    assert {one["attempts"] for one in found} == {1}, "waiting for room is no attempt"


def test_thirty_calls_ask_for_one_token(hub: RunningHub, inbox: Inbox, word: str) -> None:
    def answer(request: Request) -> Answer:
        if request.path != "/token":
            known = request.headers["authorization"] == "Bearer canary-access-token"
            return Answer(200 if known else 401)
        time.sleep(0.2)  # so that all of them want it at once
        body = {"access_token": "canary-access-token", "token_type": "Bearer", "expires_in": 3600}
        return Answer(body=json.dumps(body).encode())

    inbox.answer = answer
    integration = hub.http.create_integration(
        name=word,
        type="oauth",
        base_url=inbox.url,
        auth={
            "mode": "oauth2",
            "grant": "client_credentials",
            "token_url": f"{inbox.url}/token",
            "client_id": "shop",
            "client_secret": "canary-client-secret",
            "scopes": ["orders:read"],
        },
        operations={"orders": {"path": "/orders"}},
    )
    assert end_of(hub, batch(hub, integration["id"], "orders", 30)) == {"done": 30}
    tokens = [request for request in inbox.requests if request.path == "/token"]
    assert len(tokens) == 1
    assert parse_qs(tokens[0].body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["orders:read"],
    }
    assert len(inbox.requests) == 31
    grant = ask(hub, "GET", f"/integrations/{integration['id']}/grant")
    assert (grant["state"], grant["version"]) == ("active", 1)
    assert "canary-access-token" not in json.dumps(grant)


def command(hub: RunningHub, *arguments: str, **variables: str) -> str:
    """What `hub …` prints."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    answer = subprocess.run(
        [sys.executable, "-m", "hub.cli.main", *arguments],
        env={**given, "HUB_URL": hub.url, "HUB_API_KEY": hub.api_key, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_a_file_is_applied_called_and_shown_as_curl(
    hub: RunningHub, inbox: Inbox, word: str, tmp_path: Path
) -> None:
    file = tmp_path / "crm.yaml"
    file.write_text(
        f"""
name: {word}
base_url: {inbox.url}
auth: {{mode: bearer, token: "${{CRM_TOKEN}}"}}
operations:
  get_user: {{path: "/users/{{id}}"}}
"""
    )
    secret = {"CRM_TOKEN": "canary-file-token"}
    assert "created" in command(hub, "integrations", "apply", str(file), "--yes", **secret)
    assert "unchanged" in command(hub, "integrations", "apply", str(file), "--yes", **secret)
    given = ("get_user", "--input", '{"path": {"id": 7}}')
    shown = command(hub, "curl", word, *given)
    assert f"{inbox.url}/users/7" in shown
    assert "***" in shown
    assert not inbox.requests, "nothing was called so far"
    (found,) = [one for one in hub.http.list_integrations(search=word)["data"] if one["name"] == word]
    done = hub.http.execute(found["id"], "get_user", {"path": {"id": 7}}, wait=20)
    assert done["state"] == "done"
    (request,) = inbox.requests
    assert request.headers["authorization"] == "Bearer canary-file-token"
    assert "canary-file-token" not in shown


def device_provider(typed: list[bool]) -> Callable[[Request], Answer]:
    """A provider that shows a code, and gives a token when somebody has typed it."""

    def answer(request: Request) -> Answer:
        if request.path == "/device":
            shown = {
                "device_code": "canary-device-code",
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://example.com/device",
                "interval": 1,
                "expires_in": 600,
            }
            return Answer(body=json.dumps(shown).encode())
        if request.path == "/token":
            if not typed:
                return Answer(400, b'{"error":"authorization_pending"}')
            return Answer(
                body=b'{"access_token":"canary-device-token","token_type":"Bearer","expires_in":3600}'
            )
        return Answer(200 if request.headers["authorization"] == "Bearer canary-device-token" else 401)

    return answer


def test_what_waits_for_a_person_goes_on_when_beat_finds_the_code_typed(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    typed: list[bool] = []
    inbox.answer = device_provider(typed)
    integration = hub.http.create_integration(
        name=word,
        type="oauth",
        base_url=inbox.url,
        auth={
            "mode": "oauth2",
            "grant": "device",
            "token_url": f"{inbox.url}/token",
            "device_url": f"{inbox.url}/device",
            "client_id": "tv",
            "client_auth": "none",
        },
        operations={"play": {"path": "/play"}},
    )
    accepted = hub.http.execute(integration["id"], "play")
    until(lambda: hub.http.get_execution(accepted["id"])["reason"] == "needs_reauth", what="the hold")
    shown = ask(hub, "POST", f"/integrations/{integration['id']}/authorize")
    assert (shown["kind"], shown["user_code"]) == ("device", "WDJB-MJHT")
    until(lambda: [one for one in inbox.requests if one.path == "/token"], what="the first look")
    assert hub.http.get_execution(accepted["id"])["state"] == "held"
    typed.append(True)
    until(lambda: hub.http.get_execution(accepted["id"])["state"] == "done", what="the end")
    assert hub.http.get_execution(accepted["id"])["attempts"] == 1
