"""Secrets of every mode, used against a service that repeats all it is sent: none is seen anywhere afterwards."""

from __future__ import annotations

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from hub.core.clock import SystemClock
from hub.core.secret import Secret
from hub.flows.announcing import Announcer
from hub.integrations.directory import Directory
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.executions.running import make_runner
from hub.integrations.grants.keeper import Grants
from hub.integrations.pipeline.call import Tools
from hub.integrations.pipeline.tools import Limits
from hub.net.session import GuardedSession
from hub.queue.contracts import TaskName
from hub.queue.pump import Pump
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.integrations.world import LEASE, World

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def certificate() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(KEY, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM).decode()


def canary(name: str) -> str:
    return f"canary/{name}+Zq7=Xw V"[:40].replace(" ", "-")


B64 = base64.b64encode(b"canary-azure-shared-key-0123456789").decode()
#: auth → what must not be seen.
MODES: list[tuple[dict[str, Any], list[str]]] = [
    ({"mode": "bearer", "token": canary("bearer")}, []),
    ({"mode": "basic", "username": "ada", "password": canary("basic")}, []),
    ({"mode": "api_key", "in": "header", "name": "X-Key", "key": canary("header")}, []),
    ({"mode": "api_key", "in": "query", "name": "key", "key": canary("query")}, []),
    ({"mode": "api_key", "in": "cookie", "name": "key", "key": canary("cookie")}, []),
    ({"mode": "api_key", "in": "basic", "key": canary("user"), "basic_password": "x"}, []),
    ({"mode": "digest", "username": "ada", "password": canary("digest")}, []),
    (
        {
            "mode": "template",
            "headers": {"X-A": "{{ one }}:{{ two }}"},
            "query": {"q": "{{ one }}"},
            "secrets": {"one": canary("one"), "two": canary("two")},
        },
        [canary("one"), canary("two")],
    ),
    (
        {
            "mode": "hmac",
            "string": "{{ timestamp }}.{{ extra }}",
            "key": canary("hmac"),
            "headers": {"X-S": "{{ signature }}", "X-E": "{{ extra }}"},
            "secrets": {"extra": canary("extra")},
        },
        [canary("extra")],
    ),
    (
        {
            "mode": "oauth1",
            "consumer_key": "shown",
            "token": "shown",
            "signature_method": "PLAINTEXT",
            "consumer_secret": canary("consumer"),
            "token_secret": canary("tokensecret"),
        },
        [],
    ),
    (
        {
            "mode": "aws_sigv4",
            "access_key_id": "AKIA",
            "service": "s3",
            "secret_access_key": canary("aws"),
            "session_token": canary("session"),
        },
        [],
    ),
    ({"mode": "azure_shared_key", "service": "blob", "account": "acct", "key": B64}, ["canary-azure"]),
    (
        {
            "mode": "oauth2",
            "grant": "client_credentials",
            "token_url": "{url}/token",
            "client_id": "me",
            "client_secret": canary("client"),
            "client_auth": "post",
            "capture": {"echo": "echo", "all": "nested"},
        },
        [canary("granted")],
    ),
    (
        {
            "mode": "oauth2",
            "grant": "refresh_token",
            "token_url": "{url}/token",
            "client_id": "me",
            "client_secret": canary("client2"),
            "refresh_token": canary("refresh"),
            "placement": {"in": "query", "name": "t"},
        },
        [canary("granted")],
    ),
    (
        {
            "mode": "login_call",
            "url": "/token",
            "json": {"user": "ada", "password": "{{ password }}"},
            "password": canary("login"),
            "token": {"in": "json", "name": "access_token"},
        },
        [canary("granted")],
    ),
    (
        {
            "mode": "oauth2",
            "grant": "client_credentials",
            "token_url": "{url}/refuse",
            "client_id": "me",
            "client_secret": canary("refused"),
        },
        [],
    ),
]
SECRET_FIELDS = {
    "token", "password", "key", "consumer_secret", "token_secret", "secret_access_key", "session_token",
    "client_secret", "refresh_token",
}  # fmt: skip


def secrets_of(auth: dict[str, Any], more: list[str]) -> list[str]:
    found = more + [
        value
        for name, value in auth.items()
        if name in SECRET_FIELDS and isinstance(value, str) and value != "shown"
    ]
    plain = [one for one in found if one != "shown"]
    pairs = [f"ada:{one}" for one in plain] + [f"{one}:x" for one in plain] + [f"me:{one}" for one in plain]
    return (
        plain
        + [quote(one, safe="") for one in plain]
        + [json.dumps(one)[1:-1].replace("/", "\\/") for one in plain]
        + [base64.b64encode(one.encode()).decode() for one in pairs]
    )


def repeat(call: Call) -> Answer:
    """Everything that was sent, in headers and body, as a success and as a failure."""
    if call.path == "/refuse":
        said: dict[str, Any] = {
            "error": "invalid_client",
            "error_description": f"no {call.body.decode()} {call.headers}",
        }
        return Answer(401, json.dumps(said).encode(), {"Content-Type": "application/json"})
    seen = {"headers": call.headers, "query": call.query, "body": call.body.decode(errors="replace")}
    if call.path == "/token":
        said = {
            "access_token": canary("granted"),
            "expires_in": 3600,
            "echo": seen,
            "nested": {"x": [canary("granted")]},
        }
        return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
    text = json.dumps(seen)
    headers = {
        "Content-Type": "application/json",
        "X-Echo": text,
        "Set-Cookie": f"s={call.headers.get('authorization', '')}",
        "Location": f"/elsewhere?{call.query}",
        "WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"',
    }
    return Answer(
        200 if call.path.startswith("/ok") else 401 if "unauthorized" in call.path else 400,
        text.encode(),
        headers,
    )


def run(world: World, redis_url: str) -> None:
    """A pump with everything that a worker has."""
    session = GuardedSession(world.services.policy)
    vault = world.services.vault
    grants = Grants(world.engine, vault, session, SystemClock(), Random(1), "worker")
    announcer = Announcer(world.sandbox, world.bell.ring)
    source = ExecutionSource(
        world.engine, Directory(vault), clock=SystemClock(), rng=Random(1), owner="worker", lease=LEASE,
        announce=announcer.announce, teller=announcer,
    )  # fmt: skip
    tools = Tools(session, world.sandbox, Limits(redis_url), grants)
    runner = make_runner(tools, SystemClock(), capacity=8, lease=LEASE, finish=source.finish)
    for _ in range(4):
        Pump(
            TaskName.EXECUTIONS_RUN, source, runner, world.bell, capacity=8, slice_seconds=20,  # type: ignore[arg-type]
            linger=0.0, grace=0.0, stopping=lambda: False,
        ).run()  # fmt: skip
        world.everything_due()
    session.close()


def everything_in(client: redis.Redis) -> str:
    readers: dict[Any, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"zset": lambda k: client.zrange(k, 0, -1),
    }
    return "\n".join(
        f"{key!r} {readers.get(client.type(key), lambda _: None)(key)!r}" for key in client.scan_iter("*")
    )


def database(world: World) -> dict[str, str]:
    tables = [
        row.table_name
        for row in world.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'hub'")
    ]
    return {
        name: "\n".join(str(row) for row in world.sql(f"SELECT t::text FROM hub.{name} t")) for name in tables
    }


def test_no_secret_of_any_mode_is_left_anywhere(
    world: World, provider: Provider, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.default = repeat
    endpoint = {"name": "ops", "url": provider.url, "event_types": ["*"], "kind": "operations"}
    assert world.call("POST", "/endpoints", json=endpoint).status_code == 201
    operations = {
        "ok": {"path": "/ok", "cache_seconds": 60},
        "bad": {"path": "/bad"},
        "unauthorized": {"path": "/unauthorized"},
        "post": {"method": "POST", "path": "/ok-post"},
    }
    rules = [{"when": {"statuses": [400]}, "then": "fail", "message": "{{ body }} {{ headers.x-echo }}"}]
    answers: dict[str, str] = {}
    hidden: dict[str, list[str]] = {}
    key = pem(KEY)
    for number, (auth, more) in enumerate(MODES):
        filled = {n: v.replace("{url}", provider.url) if isinstance(v, str) else v for n, v in auth.items()}
        name = f"{number}-{auth['mode']}"
        hidden[name] = secrets_of(auth, more)
        tls = {"tls": {"certificate": certificate(), "key": key}} if number == 0 else {}
        made = world.call(
            "POST", "/integrations",
            json={
                "name": name, "base_url": provider.url, "auth": filled, "operations": operations, **tls,
                "error_mapping": rules, "logging": {"level": "debug"}, "health_check": {"path": "/ok"},
                "rate_limit": {"limits": [{"limit": 1000, "per_seconds": 1, "burst": 1000}], "max_concurrent": 50},
                "retry_policy": {"max_retries": 1, "base_seconds": 0.1},
            },
        )  # fmt: skip
        assert made.status_code == 201, made.text
        one = made.json()["id"]
        ids = [world.execute(one, operation, path={}) for operation in operations for _ in range(2)]
        run(world, redis_url)
        for path in (f"/integrations/{one}", f"/integrations/{one}/versions/1", f"/integrations/{one}/grant"):
            answers[f"{name} {path}"] = world.call("GET", path).text
        for index, execution in enumerate(ids):
            answers[f"{name} execution {index}"] = world.call("GET", f"/executions/{execution}").text
        for operation in (*operations, None):
            given = {"operation": operation, "input": {}} if operation else {}
            answers[f"{name} test {operation}"] = world.call(
                "POST", f"/integrations/{one}/test", json=given
            ).text
        given = {"operation": "post", "input": {}}
        answers[f"{name} dry run"] = world.call("POST", f"/integrations/{one}/dry-run", json=given).text
        change = {"auth": {**filled, "mode": "no"}}
        answers[f"{name} bad change"] = world.call("PATCH", f"/integrations/{one}", json=change).text
        patched = world.call("PATCH", f"/integrations/{one}", json={"base_url": "https://evil.example"})
        answers[f"{name} moved"] = patched.text
        assert patched.status_code == 422, name
    for path in ("/audit", "/integrations", "/executions", "/monitoring/summary"):
        answers[path] = world.call(
            "GET", path, params={"limit": 100} if path != "/monitoring/summary" else {}
        ).text
    with redis.Redis.from_url(redis_url) as client:
        places = {
            **answers,
            **{f"table {n}": t for n, t in database(world).items()},
            "redis": everything_in(client),
        }
    places["log"] = caplog.text
    assert "hub:limits:cache" in places["redis"]
    inner = "".join(key.splitlines()[1:-1])
    hidden["tls"] = [inner[:40], key.splitlines()[1]]
    found = sorted(
        f"{what}: {secret} in {where}: …{text[max(0, text.index(secret) - 60) : text.index(secret) + 20]}"
        for where, text in places.items()
        for what, secrets in hidden.items()
        for secret in secrets
        if secret in text
    )
    assert found == []
    assert "canary" not in repr(Secret("canary"))
