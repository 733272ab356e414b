"""No secret leaves its place: canary values are looked for wherever a running hub shows or keeps anything."""

from __future__ import annotations

import base64
import os
import re
import threading
from pathlib import Path
from typing import Any, Self

import pytest
import redis
import requests

from tests.acceptance.conftest import FLOWER_LOGIN
from tests.support.receivers import Answer, Inbox
from tests.support.stack import DATABASE_PASSWORD, RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance

WORKERS = ("execute", "deliver", "system")
BEARER, API_KEY, PASSWORD = "canary-bearer-Hm2Wq9", "canary-api-key-Tz4Lp7", "canary-basic-Rk8Nv3"
SIGNING = "whsec_" + base64.b64encode(b"canary-signing-secret-0123456789").decode()


@pytest.fixture(scope="module")
def canaries(hub: RunningHub) -> dict[str, str]:
    """Every secret of the hub by what it is, in each spelling in which it could slip out."""
    master = (hub.settings.data_dir / "master.key").read_text().strip()
    return {
        "endpoint secret": SIGNING,
        "endpoint secret, decoded": "canary-signing-secret",
        "endpoint secret, without its prefix": SIGNING.removeprefix("whsec_"),
        "bearer token": BEARER,
        "integration's API key": API_KEY,
        "basic password": PASSWORD,
        "basic password, as it is sent": base64.b64encode(f"ada:{PASSWORD}".encode()).decode(),
        "API key": hub.api_key,
        "API key's secret part": hub.api_key.rsplit("_", 1)[1],
        "master key": master,
        "master key, decoded": base64.b64decode(master).hex(),
        "database password": DATABASE_PASSWORD,
        "Flower's password": FLOWER_LOGIN.split(":")[1],
    }


def assert_none_in(canaries: dict[str, str], texts: dict[str, str]) -> None:
    found = [
        f"{what} in {where}" for where, text in texts.items() for what, one in canaries.items() if one in text
    ]
    assert not found


class Monitor:
    """Everything that is said to Redis during a `with` block."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._monitor = self._client.monitor()  # type: ignore[no-untyped-call]
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._monitor.__enter__()
        self._thread.start()
        return self

    def _follow(self) -> None:
        for command in self._monitor.listen():
            self.lines.append(command["command"])
            if "end-of-monitoring" in command["command"]:
                return

    def __exit__(self, *_: object) -> None:
        self._client.echo("end-of-monitoring")
        self._thread.join(10)
        self._monitor.__exit__(None, None, None)
        self._client.close()


def decoded(text: str) -> str:
    """A text followed by what its base64 parts say: kombu packs bodies into it."""
    parts = [text]
    for match in re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text):
        try:
            parts.append(base64.b64decode(match + "=" * (-len(match) % 4)).decode(errors="replace"))
        except ValueError:
            continue
    return "\n".join(parts)


def everything_in(client: redis.Redis) -> str:
    """Every key of a Redis with its content."""
    readers: dict[Any, Any] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"hash": client.hgetall,
        b"stream": client.xrange,
        b"none": lambda _: None,  # it expired meanwhile
    }
    return "\n".join(f"{key!r} {readers[client.type(key)](key)!r}" for key in client.scan_iter("*"))


def traffic(hub: RunningHub, inbox: Inbox, word: str) -> tuple[list[str], list[str]]:
    """Every secret is stored and used, in calls that succeed and calls that fail; ids of events and executions."""
    inbox.answer = lambda request: Answer(500 if "fail" in request.path else 200)
    retry = {"strategy": "fixed", "base_seconds": 0.1, "max_retries": 1}
    operations = {"ok": {"path": "/ok"}, "fail": {"path": "/fail"}}
    executions = []
    auths: list[dict[str, str]] = [
        {"mode": "bearer", "token": BEARER},
        {"mode": "api_key", "in": "header", "name": "X-Key", "key": API_KEY},
        {"mode": "api_key", "in": "query", "name": "key", "key": API_KEY},
        {"mode": "basic", "username": "ada", "password": PASSWORD},
    ]
    for number, auth in enumerate(auths):
        integration = hub.http.create_integration(
            name=f"{word}-{number}",
            base_url=inbox.url,
            auth=auth,
            operations=operations,
            retry_policy=retry,
            health_check={"interval_seconds": 1, "path": "/health-fail", "unhealthy_after": 1},
        )
        executions += [hub.http.execute(integration["id"], operation)["id"] for operation in operations]
        hub.celery.execute(integration["id"], "ok")
    for path in ("ok", "fail"):
        hub.http.create_endpoint(
            name=f"{word}-{path}",
            url=f"{inbox.url}/{path}",
            event_types=[word],
            secret=SIGNING,
            retry_policy={"strategy": "schedule", "delays": [0.1]},
        )
    # Four events fail twice each at one endpoint: from the tenth call on its breaker would hold the rest for 15 s.
    events = [hub.http.publish(word, {"n": n})["id"] for n in range(3)]
    hub.celery.publish(word, {"n": 3})
    return events, executions


@pytest.fixture(scope="module")
def traces(hub: RunningHub) -> dict[str, str]:
    """What traffic with all the canaries left behind: queues while nobody consumed, and all that was said to Redis."""
    word = "canaries"
    with Inbox() as inbox, Monitor(hub.redis_url) as monitor:
        with hub.stopped(*WORKERS):
            events, executions = traffic(hub, inbox, word)
            until(lambda: hub.redis.llen("hub:hub.intake") == 5, what="messages of the Celery door")
            queued = everything_in(hub.redis)
        until(
            lambda: all(hub.http.get_execution(one)["finished_at"] for one in executions),
            what="the executions",
        )
        unfinished = (
            "SELECT count(*) FROM hub.delivery d JOIN hub.message m ON m.id = d.message_id"
            " WHERE m.type = :type AND d.state NOT IN ('done', 'failed')"
        )
        until(
            lambda: (
                hub.query(
                    "SELECT count(*) FROM hub.message WHERE type = :type AND id NOT IN (SELECT message_id FROM hub.outbox)",
                    type=word,
                )
                == 4
                and not hub.query(unfinished, type=word)
            ),
            what="the deliveries",
        )
        until(lambda: sum("health" in r.path for r in inbox.requests) >= 4, what="health checks")
        sent = "\n".join(f"{r.headers} {r.path}" for r in inbox.requests)
        for canary in (BEARER, API_KEY, base64.b64encode(f"ada:{PASSWORD}".encode()).decode()):
            assert canary in sent, "the secrets were used"
        with hub.stopped("deliver"):
            after = everything_in(hub.redis)
    for integration in hub.http.iterate("integrations"):
        if integration["name"].startswith(word):
            hub.http.update_integration(integration["id"], health_check=None)
    return {
        "messages": queued,
        "redis": after,
        "monitor": "\n".join(monitor.lines),
        "events": " ".join(events),
        "executions": " ".join(executions),
    }


def test_no_celery_message_and_no_key_in_redis_holds_a_secret(
    traces: dict[str, str], canaries: dict[str, str]
) -> None:
    assert traces["events"].split()[0] in decoded(traces["messages"]), "a doorbell names ids"
    assert "task-sent" in decoded(traces["monitor"]) or "PUBLISH" in traces["monitor"]
    for name in ("messages", "redis", "monitor"):
        assert_none_in(canaries, {name: decoded(traces[name])})


def test_no_log_holds_a_secret(hub: RunningHub, traces: dict[str, str], canaries: dict[str, str]) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in (hub.directory / "log").iterdir()}
    assert {"api.log", "execute.log", "deliver.log", "system.log", "beat.log", "flower.log"} <= set(logs)
    assert_none_in(canaries, logs)


def test_no_metric_holds_a_secret(hub: RunningHub, traces: dict[str, str], canaries: dict[str, str]) -> None:
    metrics = requests.get(f"{hub.url}/metrics", timeout=10).text
    assert "hub_http_request_seconds" in metrics
    assert_none_in(canaries, {"metrics": metrics})


def test_no_answer_of_the_api_holds_a_secret(
    hub: RunningHub, traces: dict[str, str], canaries: dict[str, str]
) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {hub.api_key}"
    texts: dict[str, str] = {}

    def ask(method: str, path: str, **options: Any) -> requests.Response:
        answer = session.request(method, f"{hub.url}{path}", timeout=10, **options)
        texts[f"{method} {path} {len(texts)}"] = answer.text + str(answer.headers)
        return answer

    for path in ("endpoints", "integrations", "executions", "deliveries", "events"):
        for one in ask("GET", f"/v1/{path}", params={"limit": 100}).json()["data"]:
            assert ask("GET", f"/v1/{path}/{one['id']}").status_code == 200
    for integration in ask("GET", "/v1/integrations").json()["data"]:
        ask("GET", f"/v1/integrations/{integration['id']}/health")
    for path in (
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/v1/monitoring/summary",
        "/v1/api-keys",
        "/nothing",
    ):
        ask("GET", path)
    # What a caller sends wrong is told by its field, not by its value.
    auth = {"mode": "bearer", "token": BEARER, "x": PASSWORD}
    body = {"name": "x", "base_url": "http://169.254.1.1", "auth": auth}
    assert ask("POST", "/v1/integrations", json=body).status_code == 422
    json_type = {"Content-Type": "application/json"}
    cut_off = f'{{"auth": "{BEARER}", '
    assert ask("POST", "/v1/integrations", data=cut_off, headers=json_type).status_code == 400
    bad_auth = {"mode": "basic", "username": 17, "password": [PASSWORD]}
    assert (
        ask("POST", "/v1/integrations", json={"name": "x", "base_url": "y", "auth": bad_auth}).status_code
        == 422
    )
    wrong = {"name": "x", "url": "http://10.0.0.1", "secret": SIGNING + "!"}
    assert ask("POST", "/v1/endpoints", json=wrong).status_code == 422
    answer = requests.get(
        f"{hub.url}/v1/events", headers={"Authorization": f"Bearer {hub.api_key}x"}, timeout=10
    )
    assert answer.status_code == 401
    assert hub.api_key not in answer.text
    assert_none_in(canaries, texts)


def test_no_page_of_flower_holds_a_secret(
    hub: RunningHub, traces: dict[str, str], canaries: dict[str, str]
) -> None:
    login = ("hub", FLOWER_LOGIN.split(":")[1])
    session = requests.Session()
    workers = session.get(f"{hub.flower_url}/api/workers", params={"refresh": "true"}, auth=login, timeout=20)
    if workers.status_code == 401:  # Flower's API wants its own switch when nobody can log in by OAuth
        workers = session.get(f"{hub.flower_url}/workers", params={"json": "1"}, auth=login, timeout=20)
    assert workers.status_code == 200
    names = re.findall(r"(?:execute|deliver|system)@[\w.-]+", workers.text)
    assert names, workers.text[:500]
    paths = [
        "/",
        "/workers",
        "/workers?refresh=1",
        "/tasks",
        "/broker",
        "/metrics",
        "/api/tasks",
        "/api/task/types",
    ]
    paths += [f"/worker/{name}" for name in sorted(set(names))]
    texts = {}
    for path in paths:
        answer = session.get(hub.flower_url + path, auth=login, timeout=20)
        texts[path] = answer.text
        assert answer.status_code in {200, 401 if path.startswith("/api/") else 200}, path
    assert "hub.executions.run" in "".join(texts.values()), "it shows what it is there for"
    assert requests.get(f"{hub.flower_url}/tasks", timeout=10).status_code == 401
    assert_none_in(canaries, {path: decoded(text) for path, text in texts.items()})


def test_no_command_line_holds_a_secret(
    hub: RunningHub, traces: dict[str, str], canaries: dict[str, str]
) -> None:
    lines = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                lines[process.name] = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                continue  # it ended meanwhile
    assert any("hub.api" in line for line in lines.values())
    assert_none_in(canaries, lines)


def test_no_table_but_the_vaults_holds_a_secret(
    hub: RunningHub, traces: dict[str, str], canaries: dict[str, str]
) -> None:
    tables = hub.rows(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'hub' AND c.relkind IN ('r', 'p')"
    )
    assert len(tables) > 15
    texts = {}
    for table in tables:
        rows = hub.rows(f"SELECT t::text AS row FROM {table.name} t")
        # bytea is shown in hexadecimal; what was put there as text must be looked for as such.
        texts[table.name] = "\n".join(f"{row.row}\n{_from_hex(row.row)}" for row in rows)
    assert_none_in(canaries, texts)


def _from_hex(text: str) -> str:
    return "\n".join(
        bytes.fromhex(match[: len(match) // 2 * 2]).decode(errors="replace")
        for match in re.findall(r"\\\\?x([0-9a-f]{16,})", text)
    )
