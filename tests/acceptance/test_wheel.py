"""The built wheel is the product: it holds everything that `hub up` needs, outside a checkout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.stack import free_port
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

_ROOT = Path(__file__).parents[2]


def test_a_hub_comes_up_from_the_wheel_outside_the_checkout(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    dist, site, away = tmp_path / "dist", tmp_path / "site", tmp_path / "away"
    away.mkdir()
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist)],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
        "PYTHONPATH": str(site),
        "HUB_DATA_DIR": str(tmp_path / "data"),
        "HUB_API_PORT": str(free_port()),
        "HUB_FLOWER_PORT": str(free_port()),
    }
    where = "import hub, workers, celeryconfig; print(hub.__file__, workers.__file__, celeryconfig.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=away, env=environ, check=True, capture_output=True, text=True
    ).stdout
    assert all(path.startswith(str(site)) for path in found.split()), found

    log = tmp_path / "log"
    with log.open("w") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "hub.cli.main", "up"], cwd=away, env=environ, stdout=output, stderr=output
        )
    try:
        # Written when everything is ready.
        until(lambda: (tmp_path / "data/run/hub.json").exists() or up.poll() is not None, seconds=90)
        doctor = subprocess.run(
            [sys.executable, "-m", "hub.cli.main", "doctor", "--json"],
            cwd=away,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr + log.read_text()
        assert json.loads(doctor.stdout)
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(30)
    assert code == 0
