"""Which servers of others a test may go without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.peers import absent

ROOT = Path(__file__).parents[3]


def test_a_peer_that_was_promised_is_a_failure_and_another_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_PEERS", "curl node")
    with pytest.raises(pytest.fail.Exception, match="get it"):
        absent("node", "get it")
    with pytest.raises(pytest.skip.Exception, match="get it"):
        absent("mariadb", "get it")


def test_nothing_is_promised_where_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception):
        absent("node", "get it")


@pytest.mark.parametrize(
    ("user", "commands", "promised"),
    [
        (1000, ["apt-get", "npm"], ["node"]),
        (1000, [], []),
        (0, ["npm"], ["node"]),
    ],
    ids=["a user", "a user without Node", "root without apt"],
)
def test_what_the_checks_of_a_change_install_is_promised(
    tmp_path: Path, user: int, commands: list[str], promised: list[str]
) -> None:
    """The script in a machine where all commands but the shell's own are stubs."""
    checkout, path = tmp_path / "checkout", tmp_path / "path"
    stubs = {"id": f"echo {user}", "make": 'echo "$1 $2: $TEST_PEERS"'}
    stubs |= dict.fromkeys(commands, "exit 0")
    for name, does in stubs.items():
        _script(path / name, does)
    for name in ("bash", "dirname"):
        (path / name).symlink_to(str(shutil.which(name)))
    _script(checkout / "tests/support/node/install", "exit 0")
    run = checkout / ".ci/run"
    run.parent.mkdir()
    shutil.copy(ROOT / ".ci/run", run)
    done = subprocess.run(
        [str(run)], env={"PATH": str(path)}, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    asked, _, peers = done.stdout.partition(":")
    assert (asked, peers.split()) == ("lint test", promised)


def _script(path: Path, does: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
