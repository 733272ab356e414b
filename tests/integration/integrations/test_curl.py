"""The command of a dry run, run by a real curl, sends what the hub itself sends."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from typing import Any

import pytest

from tests.integration.integrations.auth.served import serving_httpbin
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.integrations.transports.soap_peer import TNS, envelope, wsdl
from tests.integration.integrations.world import World
from tests.support.peers import absent

SECRET = "s3cr3t-0123456789"
OPERATIONS: dict[str, Any] = {
    "read": {"path": "/users/{id}", "query": {"fields": "a,b"}, "headers": {"X-Trace": 'it\'s "so"'}},
    "head": {"method": "HEAD", "path": "/users"},
    "json": {"method": "POST", "path": "/users", "idempotency_key": "Idempotency-Key"},
    "form": {"method": "POST", "path": "/forms", "body_type": "form", "objects": "brackets"},
    "files": {"method": "PUT", "path": "/files", "body_type": "multipart"},
    "text": {"method": "POST", "path": "/text", "body_type": "text"},
    "bytes": {"method": "POST", "path": "/bytes", "body_type": "binary"},
}
#: Headers that each program writes for itself, or of what differs in every call.
OWN = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "traceparent"}


@pytest.fixture(autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        absent("curl", "there is no curl on this machine")


def run(command: str) -> subprocess.CompletedProcess[bytes]:
    """As somebody would who has put the secret in."""
    line = command.replace("***", SECRET)
    # By standard input: a line in a script may be longer than an argument.
    done = subprocess.run(["sh"], input=line.encode(), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, (line, done.stderr)
    return done


def both(world: World, provider: Provider, integration: str, operation: str, given: Any) -> tuple[Call, Call]:
    """What the hub sends, and what the command sends."""
    execution = world.execute(integration, operation, **given)
    world.run_executions()
    assert world.read(execution)["state"] == "done"
    shown = dry_run(world, integration, operation, given)
    assert SECRET not in str(shown)
    run(shown["curl"])
    ours, theirs = provider.calls[-2:]
    return ours, theirs


def dry_run(world: World, integration: str, operation: str, given: Any) -> dict[str, Any]:
    answer = world.call(
        "POST", f"/integrations/{integration}/dry-run", json={"operation": operation, "input": given}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def said(call: Call, *without: str) -> tuple[Any, ...]:
    headers = {name: value for name, value in call.headers.items() if name not in {*OWN, *without}}
    return call.method, call.path, call.query, headers, call.body


INPUTS = [
    ("read", {"path": {"id": "ä/b"}, "query": {"q": "x y&z", "list": ["1", "2"]}}),
    ("request", {"path": "/a", "query": {"filter[x]": "{1,2}"}}),
    ("head", {"query": {"q": "1"}}),
    ("json", {"body": {"name": 'O\'Brien \\ "x" $HOME `id`', "note": "two\nlines ✓ \u00e9"}}),
    ("json", {"body": {"long": "x" * 200_000}}),
    ("form", {"body": {"a": "1 & 2", "card": {"number": "4242"}}}),
    ("text", {"body": "@not-a-file\n"}),
    ("text", {"body": "bell \a and return \r\n"}),
    ("bytes", {"body": base64.b64encode(bytes(range(256))).decode()}),
    ("files", {"body": {"f": {"filename": "x.bin", "base64": base64.b64encode(b"\0\1\xff").decode()}}}),
]


@pytest.mark.parametrize(("operation", "given"), INPUTS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(INPUTS)])
def test_a_request_is_the_same_by_either_way(
    world: World, provider: Provider, operation: str, given: Any
) -> None:
    made = world.create(provider.url, operations=OPERATIONS, headers={"X-Empty": ""})
    ours, theirs = both(world, provider, made["id"], operation, given)
    # Every dry run has a key of its own, as every execution has.
    assert said(ours, "idempotency-key") == said(theirs, "idempotency-key")
    assert ("idempotency-key" in ours.headers) == ("idempotency-key" in theirs.headers)


def test_a_form_with_files_of_text_is_shown_part_by_part(world: World, provider: Provider) -> None:
    made = world.create(provider.url, operations=OPERATIONS)
    file = {"filename": 'my "own".csv', "content_type": "text/csv", "text": 'a;"b"\n\\c'}
    given = {"body": {"title": '@x;type="y"', "tags": ["1", "2"], "f": file}}
    assert "--form" in dry_run(world, made["id"], "files", given)["curl"]
    ours, theirs = both(world, provider, made["id"], "files", given)
    assert parts(ours) == parts(theirs)
    assert len(parts(ours)) == 4


def parts(call: Call) -> list[tuple[bytes, bytes]]:
    """Heads and contents, however the boundary is called."""
    boundary = b"--" + call.headers["content-type"].partition("boundary=")[2].encode()
    sections = call.body.split(boundary)[1:-1]
    found = [section.strip(b"\r\n").partition(b"\r\n\r\n") for section in sections]
    return [(head.replace(b'\\"', b"%22"), content) for head, _, content in found]


MODES: list[dict[str, Any]] = [
    {"mode": "none"},
    {"mode": "basic", "username": "kim", "password": SECRET},
    {"mode": "bearer", "token": SECRET},
    {"mode": "api_key", "in": "header", "name": "Authorization", "prefix": "Token ", "key": SECRET},
    {"mode": "api_key", "in": "query", "name": "api key", "key": SECRET},
    {"mode": "api_key", "in": "cookie", "name": "session", "key": SECRET},
    {"mode": "api_key", "in": "basic", "prefix": "u-", "basic_password": "x", "key": SECRET},
    {
        "mode": "template",
        "headers": {"X-Auth": "key={{ k }};v=1"},
        "query": {"t": "a b {{ k }}"},
        "secrets": {"k": SECRET},
    },
]


@pytest.mark.parametrize("auth", MODES, ids=lambda auth: f"{auth['mode']}-{auth.get('in', '')}")
@pytest.mark.parametrize("query", [{}, {"q": "1"}], ids=["bare", "query"])
def test_credentials_stand_where_the_hub_puts_them(
    world: World, provider: Provider, auth: dict[str, Any], query: dict[str, str]
) -> None:
    made = world.create(provider.url, operations=OPERATIONS, auth=auth)
    given = {"path": {"id": 7}, "query": query}
    ours, theirs = both(world, provider, made["id"], "read", given)
    assert said(ours) == said(theirs)
    assert dry_run(world, made["id"], "read", given)["curl_note"] is None


def test_a_digest_is_answered(world: World) -> None:
    with serving_httpbin() as httpbin:
        made = world.create(
            httpbin.url,
            auth={"mode": "digest", "username": "kim", "password": SECRET},
            operations={"who": {"path": f"/digest-auth/auth/kim/{SECRET}"}},
        )
        answer = run(dry_run(world, made["id"], "who", {})["curl"])
    assert b'"authenticated"' in answer.stdout


def test_graphql_is_a_post_of_its_document(world: World, provider: Provider) -> None:
    made = world.create(
        provider.url,
        protocol="graphql",
        settings={"path": "/graphql"},
        auth={"mode": "bearer", "token": SECRET},
        operations={"user": {"document": "query U($id: ID!) { user(id: $id) { name } }"}},
    )
    shown = dry_run(world, made["id"], "user", {"variables": {"id": "it's"}})
    run(shown["curl"])
    execution = world.execute(made["id"], "user", variables={"id": "it's"})
    world.run_executions()
    assert world.read(execution)["attempts"] == 1
    theirs, ours = provider.calls[:2]
    assert said(ours) == said(theirs)


def test_what_a_command_cannot_say_is_told(world: World, provider: Provider) -> None:
    signed = world.create(
        provider.url,
        name="signed",
        auth={
            "mode": "hmac",
            "string": "{{ body }}",
            "key": SECRET,
            "headers": {"X-Signature": "sha256={{ signature }}"},
        },
        operations=OPERATIONS,
    )
    shown = dry_run(world, signed["id"], "head", {})
    assert "X-Signature: sha256=***" in shown["curl"]
    assert "made anew for every request" in shown["curl_note"]
    paged = world.create(
        provider.url,
        name="paged",
        operations={"all": {"path": "/all", "pagination": {"kind": "link"}}},
        follow_redirects=2,
    )
    shown = dry_run(world, paged["id"], "all", {})
    assert "--location --max-redirs 2" in shown["curl"]
    assert "first" in shown["curl_note"]


def test_a_database_has_no_command(world: World) -> None:
    made = world.create(
        "postgresql://127.0.0.1:5432/db",
        type="database",
        auth={"mode": "basic", "username": "kim", "password": SECRET},
        operations={"one": {"sql": "SELECT 1"}},
    )
    shown = dry_run(world, made["id"], "one", {})
    assert (shown["curl"], "no curl form" in shown["curl_note"]) == (None, True)
    assert shown["request"]["payload"] is not None


def test_an_input_without_request_has_no_command(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    shown = dry_run(world, made["id"], "get_user", {"path": {}})
    assert (shown["would_call"], shown["request"], shown["curl"]) == (False, None, None)


SOAP: dict[str, Any] = {"protocol": "soap", "operations": {"get": {"operation": "Get"}}}
BASIC = {"mode": "basic", "username": "kim", "password": SECRET}


def texts(call: Call) -> Answer:
    """What the service of `soap_peer.wsdl` answers."""
    body = envelope(f'<GetResponse xmlns="{TNS}"><text>ok</text></GetResponse>')
    return Answer(200, body, {"Content-Type": "text/xml"})


@pytest.mark.parametrize(
    ("settings", "auth"),
    [
        ({"wsdl": wsdl()}, BASIC),
        ({"wsdl": wsdl(), "path": "/soap"}, {"mode": "bearer", "token": SECRET}),
        ({"wsdl": wsdl(), "wsse": True}, BASIC),
    ],
    ids=["basic", "bearer", "token in the message"],
)
def test_a_soap_message_is_the_same_by_either_way(
    world: World, provider: Provider, settings: dict[str, Any], auth: dict[str, Any]
) -> None:
    provider.default = texts
    made = world.create(provider.url, settings=settings, auth=auth, headers={"X-App": "hub"}, **SOAP)
    ours, theirs = both(world, provider, made["id"], "get", {"body": {"size": 7}})
    # With a UsernameToken the moment is in the message.
    moment = re.compile(rb"(<wsu:Created>)[^<]*|(wsu:Id=)\"[^\"]*\"")
    assert moment.sub(b"", ours.body) == moment.sub(b"", theirs.body)
    assert (b"<wsse:Password" in ours.body) == (SECRET.encode() in ours.body) == ("wsse" in settings)
    assert said(ours)[:4] == said(theirs)[:4]
    assert ours.headers["soapaction"] == '"urn:get"'


def test_a_soap_message_with_a_digest_shows_neither_password_nor_hash(
    world: World, provider: Provider
) -> None:
    settings = {"wsdl": wsdl(), "wsse": True, "wsse_password": "digest"}
    made = world.create(provider.url, settings=settings, auth=BASIC, **SOAP)
    shown = dry_run(world, made["id"], "get", {"body": {"size": 7}})
    assert '#PasswordDigest">***</' in shown["curl"]
    assert "made anew for every request" in shown["curl_note"]


def test_a_soap_message_that_cannot_be_made_here_has_no_command(world: World, provider: Provider) -> None:
    for name, settings, why in (
        ("far", {"wsdl": f"{provider.url}/soap?wsdl"}, "nothing is read from its address"),
        ("bare", {"wsdl": wsdl(), "wsse": True}, "needs user name and password"),
    ):
        made = world.create(provider.url, name=name, settings=settings, **SOAP)
        shown = dry_run(world, made["id"], "get", {"body": {"size": 7}})
        assert shown["curl"] is None
        assert why in shown["curl_note"]
    assert provider.calls == []
