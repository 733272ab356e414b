"""The README's examples, run as they stand there against a real hub.

Every `python` and `sh` block of "Five minutes" is a program of its own; the first one sets the environment of
the others. A comment behind a `print` is what it prints. Only ports are replaced: the README's may be taken.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.cli import local_hub
from hub.cli.local_hub import LocalHub
from tests.support.stack import RunningHub, free_port

pytestmark = pytest.mark.acceptance

_ROOT = Path(__file__).parents[2]
_SECTION = re.compile(r"^## Five minutes\n(.*?)^## ", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(
    r"^(?:### (?P<title>[^\n]+)|```(?P<language>\w+)\n(?P<text>.*?)^```)$", re.MULTILINE | re.DOTALL
)
_PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)
_API = "http://127.0.0.1:8400"
_OUTSIDE_PORT = "8080"


@dataclass(frozen=True)
class Example:
    title: str
    language: str
    text: str


def examples() -> list[Example]:
    section = _SECTION.search((_ROOT / "README.md").read_text())
    assert section is not None
    found = []
    title = "Set up"
    for match in _BLOCK.finditer(section[1]):
        if match["title"]:
            title = match["title"]
        else:
            found.append(Example(title, match["language"], match["text"]))
    return found


SET_UP, *EXAMPLES = examples()


@pytest.fixture(scope="module")
def directory(hub: RunningHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory as `make run` leaves it, with `hub` on its PATH."""
    path = tmp_path_factory.mktemp("readme")
    (path / ".hub" / "run").mkdir(parents=True)
    local_hub.write(
        path / ".hub",
        LocalHub(
            pid=os.getpid(),
            api_url=hub.url,
            database_url=hub.database_url,
            redis_url=hub.redis_url,
            master_keys_file=hub.environ["HUB_MASTER_KEYS_FILE"],
        ),
    )
    program = path / "bin" / "hub"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli.main "$@"\n')
    program.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def environment(hub: RunningHub, directory: Path) -> dict[str, str]:
    """The variables that the first block sets."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    base |= {"PATH": f"{directory / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(_ROOT)}
    tell = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    text = SET_UP.text.replace(_API, hub.url)
    answer = _run(["sh", "-e", "-c", f"{text}\n{tell}"], directory, base)
    found: dict[str, str] = json.loads(answer.splitlines()[-1])
    return found


def _run(argv: list[str], directory: Path, environ: dict[str, str]) -> str:
    answer = subprocess.run(
        argv, cwd=directory, env=environ, capture_output=True, text=True, timeout=110, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_the_first_block_sets_what_the_others_read(environment: dict[str, str]) -> None:
    used = set(re.findall(r"environ\[\"(HUB_[A-Z_]+)\"\]", "".join(example.text for example in EXAMPLES)))
    assert used
    assert used <= environment.keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_does_what_it_says(example: Example, directory: Path, environment: dict[str, str]) -> None:
    text = example.text.replace(f"127.0.0.1:{_OUTSIDE_PORT}", f"127.0.0.1:{(port := free_port())}")
    text = text.replace(f'"127.0.0.1", {_OUTSIDE_PORT}', f'"127.0.0.1", {port}')
    if example.language == "sh":
        _run(["sh", "-e", "-c", text], directory, environment)
        return
    assert example.language == "python"
    expected = _PRINTED.findall(text)
    assert expected, "an example without a visible result shows nothing"
    assert _run([sys.executable, "-c", text], directory, environment).splitlines() == expected


def test_there_is_an_example_for_every_door() -> None:
    text = "".join(example.text for example in EXAMPLES)
    assert all(door in text for door in ("HttpClient", "CeleryClient", "hub.publish_event", "hub publish"))
