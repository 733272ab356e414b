"""What an answer means, whether it is tried again, and what people see of it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.test_executing import seconds_until, wait_of
from tests.integration.integrations.world import World

OPERATIONS = {
    "get": {"path": "/things/{id}"},
    "make": {"method": "POST", "path": "/things"},
    "pay": {"method": "POST", "path": "/pay", "idempotency_key": "Idempotency-Key"},
}
JSON = {"Content-Type": "application/json"}


def create(world: World, url: str, *rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return world.create(url, operations=OPERATIONS, error_mapping=list(rules), **fields)


def run(world: World, made: dict[str, Any], operation: str = "get") -> dict[str, Any]:
    execution = world.execute(made["id"], operation, **({} if operation == "get" else {"body": {}}))
    world.run_executions()
    return world.read(execution)


def again(world: World, detail: dict[str, Any]) -> dict[str, Any]:
    world.everything_due()
    world.run_executions()
    return world.read(detail["id"])


NOT_OK = {"body": {"ok": False}}


def test_a_good_status_with_bad_news_is_a_failure_with_a_sentence(world: World, provider: Provider) -> None:
    said = {"ok": False, "error": "channel_not_found"}
    provider.default = lambda _call: Answer(
        200, json.dumps(said).encode(), {**JSON, "X-Request-Id": "req-77", "X-Region": "eu"}
    )
    rule = {"when": NOT_OK, "then": "fail", "message": "Slack says {{ body.error }} ({{ headers.x-region }})"}
    made = create(world, provider.url, rule)
    detail = run(world, made, "make")
    assert (detail["state"], detail["reason"]) == ("failed", "permanent")
    assert detail["error"] == {
        "type": "provider_error",
        "message": "Slack says channel_not_found (eu)",
        "recoverable": False,
        "request_id": "req-77",
    }
    # The service's own words are never hidden.
    assert (detail["status"], detail["result"]["data"]) == (200, said)
    assert detail["result"]["headers"]["x-region"] == "eu"
    (attempt,) = detail["attempt_log"]
    assert (attempt["status"], json.loads(attempt["response_body"])) == (200, said)
    assert attempt["response_headers"]["x-request-id"] == "req-77"


def test_the_first_rule_that_holds_decides(world: World, provider: Provider) -> None:
    rules = [
        {"when": {"statuses": [404], "body": {"code": "not_yet"}}, "then": "retry"},
        {"when": {"statuses": [404]}, "then": "ignore"},
        {"when": {"statuses": ["5xx"], "headers": {"X-Fatal": "^y"}}, "then": "fail", "message": "fatal"},
        {"when": {"error_classes": ["http_5xx"]}, "then": "rate_limited"},
    ]
    made = create(world, provider.url, *rules)
    cases = [
        (Answer(404, b'{"code":"not_yet"}'), ("due", None, "http_4xx")),
        (Answer(404, b"gone"), ("done", None, None)),
        (Answer(500, b"", {"X-Fatal": "yes"}), ("failed", "permanent", "http_5xx")),
        (Answer(500, b"", {"X-Fatal": "no"}), ("due", None, "rate_limited")),
        (Answer(400, b""), ("failed", "permanent", "http_4xx")),
    ]
    for answer, (state, reason, kind) in cases:
        provider.script = [answer]
        detail = run(world, made)
        assert (detail["state"], detail["reason"]) == (state, reason), answer
        told = detail["error"]["type"] if detail["error"] else None
        if state == "due":
            told = detail["attempt_log"][0]["error_class"]
            world.call("POST", f"/executions/{detail['id']}/cancel")
        assert told == kind, answer


@pytest.mark.parametrize(
    ("status", "named"), [(401, "unauthorized"), (401, "http_4xx"), (429, "rate_limited"), (429, "http_4xx")]
)
def test_a_rule_may_name_the_class_that_people_see_or_the_wider_one(
    world: World, provider: Provider, status: int, named: str
) -> None:
    provider.default = lambda _call: Answer(status)
    made = create(world, provider.url, {"when": {"error_classes": [named]}, "then": "ignore"})
    assert run(world, made)["state"] == "done"


def test_classes_tell_refused_credentials_and_limits_without_any_rule(
    world: World, provider: Provider
) -> None:
    made = create(world, provider.url)
    for status, kind, state in (
        (401, "unauthorized", "failed"),
        (403, "http_4xx", "failed"),
        (429, "rate_limited", "due"),
    ):
        provider.script = [Answer(status)]
        detail = run(world, made)
        assert (detail["attempt_log"][0]["error_class"], detail["state"]) == (kind, state)


def test_refresh_without_a_token_to_refresh_is_an_answer(world: World, provider: Provider) -> None:
    rule = {"when": {"statuses": [403]}, "then": "refresh_credential"}
    made = create(world, provider.url, rule, auth={"mode": "bearer", "token": "a-secret-token"})
    provider.default = lambda _call: Answer(403, b"expired")
    detail = run(world, made)
    assert (detail["state"], detail["reason"], detail["error"]["type"]) == (
        "failed",
        "permanent",
        "unauthorized",
    )
    assert len(provider.calls) == 1


def test_a_message_that_cannot_be_filled_in_hides_nothing(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(500, b"<html>", {})
    made = create(
        world,
        provider.url,
        {"when": {"statuses": [500]}, "then": "fail", "message": "It says {{ body.error }}"},
    )
    detail = run(world, made)
    assert detail["error"]["message"] == "The answer was status 500."
    assert detail["result"]["data"] == "<html>"


@pytest.mark.parametrize("operation", ["get", "make", "pay"])
def test_what_may_have_been_done_is_repeated_only_when_that_is_harmless(
    world: World, provider: Provider, operation: str
) -> None:
    provider.default = lambda _call: Answer(500)
    made = create(world, provider.url, retry_policy={"max_retries": 1, "base_seconds": 0.1})
    detail = run(world, made, operation)
    if operation == "make":
        assert (detail["state"], detail["reason"], len(provider.calls)) == ("failed", "not_repeatable", 1)
        return
    detail = again(world, detail)
    assert (detail["state"], detail["reason"], len(provider.calls)) == ("failed", "exhausted", 2)
    if operation == "pay":
        # The same key with every attempt of one execution, another one with the next.
        keys = [call.headers["idempotency-key"] for call in provider.calls]
        assert keys[0] == keys[1]
        run(world, made, operation)
        assert provider.calls[-1].headers["idempotency-key"] != keys[0]


@pytest.mark.parametrize("then", ["retry", "rate_limited", "refresh_credential"])
def test_a_rule_does_not_repeat_what_may_have_arrived(world: World, provider: Provider, then: str) -> None:
    gate = threading.Event()
    provider.default = lambda _call: Answer(gate=gate)
    made = create(
        world,
        provider.url,
        {"when": {"error_classes": ["timeout"]}, "then": then},
        {"when": {"statuses": [409]}, "then": "retry"},
        timeout_seconds=0.2,
    )
    detail = run(world, made, "make")
    gate.set()
    assert (detail["state"], detail["reason"]) == ("failed", "not_repeatable")
    # Where the service answered, the rule knows it better.
    provider.default = lambda _call: Answer(409)
    assert run(world, made, "make")["state"] == "due"


def test_a_connection_that_breaks_after_the_request_is_not_repeated_for_a_post(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        taken: list[bytes] = []

        def hang_up() -> None:
            # The first call is made again after a second, which may be before the test is over.
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        taken.append(peer.recv(65_536))

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        made = create(world, url)
        assert run(world, made, "get")["state"] == "due"
        detail = run(world, made, "make")
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert (detail["state"], detail["reason"]) == ("failed", "not_repeatable")
    assert detail["error"]["type"] in {"reset", "protocol"}
    assert [request.partition(b" ")[0] for request in taken].count(b"POST") == 1


def test_the_moment_that_the_service_names_is_waited_for(world: World, provider: Provider) -> None:
    made = create(world, provider.url, retry_policy={"max_retries": 3, "base_seconds": 0.1})
    soon = int(time.time()) + 120
    named: list[dict[str, str]] = [
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(soon)},
        {"X-RateLimit-Reset": "120"},
        {"RateLimit": '"default";r=0;t=120'},
        {"Retry-After": "120"},
    ]
    for headers in named:
        provider.script = [Answer(429, b"", headers)]
        detail = run(world, made, "make")
        assert detail["state"] == "due", headers
        assert 115 < seconds_until(detail["next_attempt_at"]) <= 133, headers
        assert detail["metrics"]["retry_count"] == 1
        world.call("POST", f"/executions/{detail['id']}/cancel")
    # 500 says nothing of limits: a POST is not repeated for it.
    provider.script = [Answer(500, b"", {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "120"})]
    assert run(world, made, "make")["reason"] == "not_repeatable"


def test_the_waits_grow_by_the_policy(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(503)
    policy = {"max_retries": 3, "strategy": "linear", "base_seconds": 10, "cap_seconds": 25}
    detail = run(world, create(world, provider.url, retry_policy=policy))
    for least in (10, 20, 25):
        assert least - 2 < wait_of(detail) <= least * 1.1 + 1
        detail = again(world, detail)
    assert (detail["state"], detail["reason"], len(provider.calls)) == ("failed", "exhausted", 4)
