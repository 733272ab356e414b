"""The list of processes as a function of the settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.core.settings import Settings, load_settings
from hub.embedded.children import POOLS, heartbeat_is_fresh, hub_children
from hub.embedded.process import Child

LOGIN = "hub:not-in-any-command-line"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"HUB_DATA_DIR": str(tmp_path), "HUB_FLOWER_PORT": "5999"})


def children(settings: Settings, flower_login: str | None = LOGIN, **workers: int) -> dict[str, Child]:
    sizes = dict.fromkeys(POOLS, 1) | workers
    made = hub_children(
        settings, {"HUB_URL": "given"}, workers=sizes, flower_login=flower_login, python="/py"
    )
    return {child.name: child for child in made}


def test_the_api_starts_first_and_flower_last(settings: Settings) -> None:
    assert list(children(settings)) == ["api", "execute", "deliver", "system", "beat", "flower"]


def test_every_child_gets_the_given_variables_and_prints_at_once(settings: Settings) -> None:
    for child in children(settings).values():
        assert child.env["HUB_URL"] == "given"
        assert child.env["PYTHONUNBUFFERED"] == "1"


def test_the_settings_accept_the_variables_of_every_child(settings: Settings) -> None:
    for child in children(settings).values():
        load_settings(dict(child.env))


def test_each_pool_has_its_queues_size_and_heartbeat(settings: Settings) -> None:
    made = children(settings, deliver=3)
    assert made["deliver"].argv[made["deliver"].argv.index("-c") + 1] == "3"
    assert "hub.system,hub.intake,hub.bulk" in made["system"].argv
    assert made["execute"].env["HUB_HEARTBEAT_FILE"] == str(settings.data_dir / "run" / "execute.heartbeat")
    # SIGTERM must stay Celery's warm shutdown: the other one tells the pumps only after their time is over.
    assert "REMAP_SIGTERM" not in made["execute"].env


def test_a_pool_of_size_zero_is_left_out(settings: Settings) -> None:
    assert "deliver" not in children(settings, deliver=0)


def test_flower_is_read_only_and_its_password_is_not_in_the_command_line(settings: Settings) -> None:
    flower = children(settings)["flower"]
    assert "--read-only" in flower.argv
    assert "--port=5999" in flower.argv
    assert "--address=127.0.0.1" in flower.argv
    assert not [word for word in flower.argv if "not-in-any" in word]
    assert flower.env["FLOWER_BASIC_AUTH"] == LOGIN


def test_without_a_login_there_is_no_flower(settings: Settings) -> None:
    assert "flower" not in children(settings, flower_login=None)


@pytest.mark.parametrize(("age", "fresh"), [(0.0, True), (14.9, True), (15.1, False)])
def test_a_heartbeat_is_fresh_for_fifteen_seconds(tmp_path: Path, age: float, fresh: bool) -> None:
    path = tmp_path / "heartbeat"
    path.touch()
    os.utime(path, (1000.0, 1000.0))
    assert heartbeat_is_fresh(path, 1000.0 + age) is fresh


def test_no_heartbeat_is_not_fresh(tmp_path: Path) -> None:
    assert not heartbeat_is_fresh(tmp_path / "nothing", 0.0)
