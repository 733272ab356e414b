"""A transport of another package: built, installed, loaded by its entry point, and all that is promised of any."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hub.core.secret import Secret
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports import registry
from hub.integrations.transports.interface import NoSettings, Transport
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.integrations.world import World
from tests.integration.net.hostile import Server

PACKAGE = Path(__file__).parents[3] / "support" / "example_transport"
GOOD, BAD = "canary-good-token", "canary-bad-token"
SETTINGS = {"transport": "stock"}


def forget_packages() -> None:
    registry._installed.cache_clear()
    registry._custom.cache_clear()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the example as an installer leaves it."""
    made = tmp_path_factory.mktemp("example")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made / "dist")]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(next((made / "dist").glob("*.whl"))) as wheel:
        wheel.extractall(made / "site")
    return made / "site"


@pytest.fixture(scope="module")
def installed(site: Path) -> Iterator[None]:
    """The example is installed."""
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    forget_packages()
    yield
    sys.path.remove(str(site))
    for name in [name for name in sys.modules if name.partition(".")[0] == "hub_stock_transport"]:
        del sys.modules[name]
    forget_packages()


def behave(server: Server, sock: socket.socket) -> None:
    """A stock-keeping machine."""
    lines = sock.makefile("rb")
    token, command = lines.readline().split()[1:], lines.readline()
    server.requests.append(command)
    if token != [GOOD.encode()]:
        sock.sendall(b"NO\n")
        return
    name, _, arguments = command.partition(b" ")
    if name == b"FAIL":
        sock.sendall(b"OK\nERR 42 no such part, says %s\n" % token[0])
    elif name == b"WAIT":
        sock.sendall(b"OK\nBUSY\n")
    else:
        answer = {"command": name.decode(), **json.loads(arguments)}
        if name == b"LIST":
            answer["parts"] = "x" * LARGE_BYTES
        body = json.dumps(answer).encode()
        sock.sendall(b"OK\nOK %d\n" % len(body) + body)


@contextmanager
def machine() -> Iterator[Server]:
    with Server(behave).running() as server:
        yield server


class TestConformance(Conformance):
    scheme = "stock"
    small = ("count", {"part": "p-1"})
    large = ("list", {})
    good = Credentials("bearer", secrets={"token": Secret(GOOD)})
    bad = Credentials("bearer", secrets={"token": Secret(BAD)})
    settings: ClassVar[Any]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _loaded(cls, installed: None) -> None:
        cls.transport = registry.transport_of("api", "custom", SETTINGS)
        cls.settings = cls.transport.settings_form.model_validate(SETTINGS)
        made = cls.transport.operation_form
        cls.operations = {name: made.model_validate({"command": name.upper()}) for name in ("count", "list")}

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        with machine() as server:
            yield server.port


# -- finding it ----------------------------------------------------------------------------------------------------


def test_a_new_process_finds_what_is_installed(site: Path) -> None:
    ask = (
        "from hub.integrations.transports.registry import custom;"
        "print({name: one.__class__.__module__ for name, one in custom().items()})"
    )
    environ = {**os.environ, "PYTHONPATH": f"{site}:{Path(__file__).parents[4]}"}
    answer = subprocess.run(
        [sys.executable, "-c", ask], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "{'stock': 'hub_stock_transport'}"


def test_the_kinds_have_it_with_its_forms(world: World, installed: None) -> None:
    kinds = world.call("GET", "/integration-kinds").json()
    (found,) = [one for one in kinds["transports"] if one["name"] == "stock"]
    assert found["schemes"] == {"stock": 7070, "stocks": 7071}
    assert found["auth_modes"] == ["bearer", "none"]
    assert set(found["settings"]["properties"]) == {"transport", "shelf"}
    assert found["settings"]["required"] == ["transport"]
    assert {"command", "input_schema", "timeout_seconds"} <= found["operation"]["properties"].keys()


class EntryPoints:
    """Stands for what is installed: pairs of a name and what it loads."""

    def __init__(self, *entries: tuple[str, object]) -> None:
        self._entries = entries
        self.names = {name for name, _ in entries}

    def __call__(self, *, group: str) -> EntryPoints:
        assert group == "integration_hub.transports"
        return self

    def select(self, *, name: str) -> list[EntryPoint]:
        return [EntryPoint(loaded) for one, loaded in self._entries if one == name]


class EntryPoint:
    def __init__(self, loaded: object) -> None:
        self._loaded = loaded

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.fixture
def bring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install these entry points for a test."""

    def put(*entries: tuple[str, object]) -> None:
        monkeypatch.setattr(registry, "entry_points", EntryPoints(*entries))
        forget_packages()

    yield put
    monkeypatch.undo()
    forget_packages()


def raising(_self: object) -> None:
    raise RuntimeError("canary: somebody's own text")


def variant(**attributes: object) -> type[Transport]:
    """The example with something that is wrong."""
    base = type(registry.transport_of("api", "custom", SETTINGS))
    return type("Variant", (base,), attributes)


def refusal(world: World, settings: dict[str, Any], type_: str = "api") -> str:
    """The fault of `settings.transport`, the only one."""
    body = {
        "name": "stock",
        "type": type_,
        "protocol": "custom",
        "base_url": "stock://127.0.0.1",
        "settings": settings,
    }
    answer = world.call("POST", "/integrations", json=body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["path"] == "settings.transport"
    return str(error["message"])


@pytest.mark.parametrize("settings", [{}, {"transport": "other"}, {"transport": 7}], ids=str)
def test_what_is_not_installed_is_refused_with_the_names_of_what_is(
    world: World, installed: None, settings: dict[str, Any]
) -> None:
    message = refusal(world, settings)
    assert message.startswith("must name an installed transport; install the package that brings it")
    assert message.endswith("(installed: stock)")


def test_nothing_installed_is_said(world: World, bring: Any) -> None:
    bring()
    assert refusal(world, SETTINGS).endswith("(installed: none)")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: ModuleNotFoundError("No module", name="pyserial"), "its package needs the module pyserial"),
        (lambda: RuntimeError("canary"), "its package fails when it is loaded (RuntimeError"),
        (object, "stock is no hub.integrations.transports.interface.Transport"),
        (lambda: variant(__init__=raising), "its package fails when it is loaded (RuntimeError"),
        (lambda: variant(send=None, name="shop"), "its attribute `name` must be stock"),
        (
            lambda: variant(settings_form=NoSettings),
            "its `settings_form` must be a subclass of CustomSettings",
        ),
        (
            lambda: variant(operation_form=NoSettings),
            "its `operation_form` must be a subclass of OperationForm",
        ),
        (lambda: variant(schemes={}), "its `schemes` and `auth_modes` must name something"),
        (lambda: type("Half", (Transport,), {"name": "stock"}), "fails when it is loaded (TypeError"),
    ],
    ids=["module", "import", "object", "making", "name", "settings", "operation", "schemes", "abstract"],
)
def test_a_broken_package_is_refused_with_what_is_wrong_and_is_no_kind(
    world: World, installed: None, bring: Any, made: Any, says: str
) -> None:
    broken = made()
    bring(("stock", broken))
    message = refusal(world, SETTINGS)
    assert message.startswith("names a transport that cannot be used: ")
    assert says in message
    assert "canary" not in message
    assert registry.custom() == {}


def test_a_name_that_is_taken_is_refused(world: World, installed: None, bring: Any) -> None:
    bring(("stock", variant()), ("stock", variant()), ("rest", variant(name="rest")))
    assert "more than one installed package" in refusal(world, SETTINGS)
    assert "that of a built-in one" in refusal(world, {"transport": "rest"})
    assert registry.transport_of("api", "rest", {}).__module__.startswith("hub.")


@pytest.mark.parametrize("type_", ["database", "file_transfer", "messaging"])
def test_types_with_a_transport_of_their_own_need_no_name(type_: str, installed: None) -> None:
    assert registry.transport_of(type_, "custom", {}).name == type_
    assert registry.transport_of(type_, "custom", SETTINGS).name == type_


# -- using it ------------------------------------------------------------------------------------------------------


def stock(world: World, server: Server, **fields: Any) -> dict[str, Any]:
    operations = {
        "count": {"command": "COUNT", "response_transform": [{"omit": ["command"]}]},
        "fail": {"command": "FAIL"},
        "wait": {"command": "WAIT"},
    }
    return world.create(
        f"stock://127.0.0.1:{server.port}",
        protocol="custom",
        settings={**SETTINGS, "shelf": "a-7"},
        auth={"mode": "bearer", "token": GOOD},
        operations=operations,
        **fields,
    )


def run(world: World, made: dict[str, Any], operation: str, **given: Any) -> dict[str, Any]:
    execution = world.execute(made["id"], operation, **given)
    world.run_executions()
    return world.read(execution)


def test_an_integration_of_it_is_called_from_end_to_end(world: World, installed: None) -> None:
    with machine() as server:
        made = stock(world, server)
        done = run(world, made, "count", part="p-1")
        assert (done["state"], done["result"]["data"]) == ("done", {"part": "p-1", "shelf": "a-7"})
        assert done["request"] == {
            "method": "COUNT",
            "endpoint": f"stock://127.0.0.1:{server.port}",
            # The definition's part of it is not in the input.
            "payload": {"part": "p-1", "shelf": "a-7"},
        }
        assert [attempt["peer"] for attempt in done["attempt_log"]] == ["127.0.0.1"]
        assert world.call("POST", f"/integrations/{made['id']}/test").json()["ok"]
        assert server.requests == [b'COUNT {"part": "p-1", "shelf": "a-7"}\n', b"PING {}\n"]


def test_its_errors_are_told_without_its_secret_and_retried_as_any(world: World, installed: None) -> None:
    with machine() as server:
        made = stock(world, server)
        failed = run(world, made, "fail", part="p-1")
        assert (failed["state"], failed["error"]["type"]) == ("failed", "provider_error")
        assert "42 no such part" in json.dumps(failed["result"])
        assert GOOD not in json.dumps(failed)
        waits = run(world, made, "wait", part="p-1")
        assert (waits["state"], waits["attempts"]) == ("due", 1)
        refused = run(world, _with_token(world, made, BAD), "count", part="p-1")
        assert refused["error"]["type"] == "unauthorized"


def _with_token(world: World, made: dict[str, Any], token: str) -> dict[str, Any]:
    change = {"auth": {"mode": "bearer", "token": token}}
    answer = world.call("PATCH", f"/integrations/{made['id']}", json=change)
    assert answer.status_code == 200, answer.text
    return made


def test_what_is_wrong_with_a_definition_or_an_input_is_told_with_its_path(
    world: World, installed: None
) -> None:
    body = {
        "name": "stock",
        "protocol": "custom",
        "base_url": "http://127.0.0.1",
        "settings": {**SETTINGS, "shelf": "A 7"},
        "auth": {"mode": "basic", "username": "kim", "password": "secret"},
        "operations": {"move": {"command": "MOVE", "safe": True}, "odd": {"command": "move"}},
    }
    answer = world.call("POST", "/integrations", json=body)
    assert {error["path"] for error in answer.json()["errors"]} == {
        "base_url",
        "settings.shelf",
        "auth.mode",
        "operations.move.safe",
        "operations.odd.command",
    }
    with machine() as server:
        made = stock(world, server)
        ask = {"operation": "count", "input": {"part": "x" * 70_000}}
        answer = world.call("POST", f"/integrations/{made['id']}/execute", json=ask)
        assert [error["path"] for error in answer.json()["errors"]] == ["input"]
        assert not server.connections


def test_what_was_accepted_waits_for_its_package(world: World, installed: None, bring: Any) -> None:
    there = type(registry.transport_of("api", "custom", SETTINGS))
    with machine() as server:
        made = stock(world, server)
        execution = world.execute(made["id"], "count", part="p-1")
        bring()
        world.run_executions()
        waits = world.read(execution)
        assert (waits["state"], waits["reason"], waits["attempts"]) == ("due", "transport_missing", 0)
        ask = {"operation": "count", "input": {"part": "p-1"}}
        world.call(
            "PATCH", f"/integrations/{made['id']}", json={"description": "read anew, as after a restart"}
        )
        refused = world.call("POST", f"/integrations/{made['id']}/execute", json=ask)
        assert [error["path"] for error in refused.json()["errors"]] == ["settings.transport"]
        dry = world.call("POST", f"/integrations/{made['id']}/dry-run", json=ask).json()
        assert not dry["would_call"]
        bring(("stock", there))
        world.everything_due()
        world.run_executions()
        assert world.read(execution)["state"] == "done"


def test_without_its_package_an_integration_can_be_stopped_but_not_moved(
    world: World, installed: None, bring: Any
) -> None:
    another = variant(name="shop", schemes={"shop": 7070})
    with machine() as server:
        made = stock(world, server)
        path = f"/integrations/{made['id']}"
        bring()
        assert world.call("PATCH", path, json={"status": "inactive"}).json()["status"] == "inactive"
        moved = world.call("PATCH", path, json={"base_url": "stock://127.0.0.1:9"})
        assert [error["path"] for error in moved.json()["errors"]] == ["settings.transport"]
        assert world.call("POST", f"{path}/test").status_code == 409
        # Another transport would send the stored token to an address of its own.
        bring(("shop", another))
        change = {"settings": {"transport": "shop"}, "base_url": "shop://127.0.0.1:9"}
        answer = world.call("PATCH", path, json=change)
        assert [error["path"] for error in answer.json()["errors"]] == ["base_url"]
        assert "auth" in answer.json()["errors"][0]["message"]
        assert world.call("DELETE", path).status_code == 204
