"""What the processes of the worker side say of settings that they cannot work with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

GOOD = {
    "HUB_DATABASE_URL": "postgresql://hub@127.0.0.1:9/hub",
    "HUB_REDIS_URL": "redis://127.0.0.1:9",
    "HUB_MASTER_KEYS": "q0Wf5kPzrjLJX7m3bV8sY2hN4tCgA6xE9uRdZiTaoKU=",
}


@pytest.mark.parametrize(
    ("command", "change", "names"),
    [
        ("worker", {"HUB_DATABASE_URL": ""}, "HUB_DATABASE_URL is not set"),
        ("worker", {"HUB_REDIS_URL": ""}, "HUB_REDIS_URL is not set"),
        ("worker", {"HUB_MASTER_KEYS": ""}, "HUB_MASTER_KEYS is not set"),
        ("beat", {"HUB_DATABASE_URL": ""}, "HUB_DATABASE_URL is not set"),
        ("beat", {"HUB_EGRESS_ALLOW": "banana"}, "HUB_EGRESS_ALLOW: 'banana' is not a CIDR"),
        ("flower", {"HUB_NOPE": "1"}, "Unknown setting HUB_NOPE"),
        ("flower", {"HUB_REDIS_URL": ""}, "Neither HUB_BROKER_URL nor HUB_REDIS_URL is set"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_status_78(
    command: str, change: dict[str, str], names: str
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "--quiet", "-A", "workers.app", command],
        env=environ | GOOD | change,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in ended.stderr.splitlines() if "superuser" not in line]
    assert (ended.returncode, len(said)) == (os.EX_CONFIG, 1), ended.stderr
    assert said[0].startswith(f"workers.app: {names}")
