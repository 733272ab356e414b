from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hub.cli import local_hub
from hub.cli.local_hub import LocalHub

HUB = LocalHub(
    pid=os.getpid(),
    api_url="http://127.0.0.1:8400",
    database_url="postgresql:///local",
    redis_url="unix:///local.sock",
    master_keys_file="/data/master.key",
    demo_api_key="hub_key",
    demo_tenant="demo-1",
    egress_ports=[443],
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    local_hub.write(tmp_path, HUB)
    return tmp_path


def filled(data_dir: Path, **given: str) -> dict[str, str]:
    """What a command gets beyond what was given."""
    environ = {"HUB_DATA_DIR": str(data_dir), **given}
    local_hub.fill(environ)
    return {
        name: value for name, value in environ.items() if name != "HUB_DATA_DIR" and given.get(name) != value
    }


def test_everything_is_taken_from_a_hub_that_runs_here(data_dir: Path) -> None:
    assert filled(data_dir) == {
        "HUB_URL": HUB.api_url,
        "HUB_API_KEY": "hub_key",
        "HUB_DATABASE_URL": HUB.database_url,
        "HUB_REDIS_URL": HUB.redis_url,
        "HUB_MASTER_KEYS_FILE": "/data/master.key",
    }


def test_no_part_of_it_is_mixed_with_another_hub(data_dir: Path) -> None:
    assert set(filled(data_dir, HUB_DATABASE_URL="postgresql:///production")) == {"HUB_URL", "HUB_API_KEY"}
    assert set(filled(data_dir, HUB_REDIS_URL="redis://production")) == {"HUB_URL", "HUB_API_KEY"}
    assert set(filled(data_dir, HUB_BROKER_URL="amqp://production")) == {"HUB_URL", "HUB_API_KEY"}
    assert set(filled(data_dir, HUB_DATABASE_URL_FILE="/secret")) == {"HUB_URL", "HUB_API_KEY"}


def test_the_rest_is_completed_when_what_is_given_is_this_hub(data_dir: Path) -> None:
    assert "HUB_REDIS_URL" in filled(data_dir, HUB_DATABASE_URL=HUB.database_url)


def test_the_key_goes_to_no_other_url(data_dir: Path) -> None:
    assert "HUB_API_KEY" not in filled(data_dir, HUB_URL="https://production")
    assert filled(data_dir, HUB_URL=f"{HUB.api_url}/")["HUB_API_KEY"] == "hub_key"


def test_it_is_told_when_the_demos_key_is_lent(data_dir: Path) -> None:
    for given, lender in (
        ({}, HUB),
        ({"HUB_DATABASE_URL": "postgresql:///production"}, HUB),
        ({"HUB_API_KEY": "mine"}, None),
        ({"HUB_URL": "https://production"}, None),
    ):
        assert local_hub.fill({"HUB_DATA_DIR": str(data_dir), **given}) == lender


def test_what_is_set_wins(data_dir: Path) -> None:
    assert "HUB_API_KEY" not in filled(data_dir, HUB_API_KEY="mine")
    assert "HUB_MASTER_KEYS_FILE" not in filled(data_dir, HUB_MASTER_KEYS="mine")


def test_the_file_is_private_and_replaced_as_a_whole(data_dir: Path) -> None:
    path = local_hub.path_in(data_dir)
    assert path.stat().st_mode & 0o777 == 0o600
    local_hub.write(data_dir, replace(HUB, demo_api_key="other"))
    assert local_hub.read(data_dir) == replace(HUB, demo_api_key="other")
    assert [file.name for file in path.parent.iterdir()] == ["hub.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_may_touch_counts_as_none(data_dir: Path, mode: int) -> None:
    local_hub.path_in(data_dir).chmod(mode)
    assert local_hub.read(data_dir) is None


def test_a_hub_that_is_gone_counts_as_none(data_dir: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    local_hub.write(data_dir, replace(HUB, pid=ended.pid))
    assert filled(data_dir) == {}


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "{}", '{"pid": "x", "api_url": 1, "database_url": 1, "redis_url": 1}']
)
def test_a_broken_file_counts_as_none(data_dir: Path, content: str) -> None:
    local_hub.path_in(data_dir).write_text(content)
    assert local_hub.read(data_dir) is None


def test_fields_of_a_newer_hub_are_ignored(data_dir: Path) -> None:
    path = local_hub.path_in(data_dir)
    path.write_text(path.read_text().replace("{", '{"of_the_future": 1, ', 1))
    assert local_hub.read(data_dir) == HUB


def test_nothing_is_taken_after_the_hub_stopped(data_dir: Path) -> None:
    local_hub.remove(data_dir)
    local_hub.remove(data_dir)
    assert filled(data_dir) == {}
