from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hub.cli.main import main
from hub.core.settings import get_settings
from hub.db.engine import forget_engine
from tests.integration.client.served import Served, served

__all__ = ["served"]


@dataclass
class Ended:
    """What one run of `hub` left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)


Hub = Callable[..., Ended]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> Hub:
    """Run `hub …` as the shell does, in a directory where no hub runs."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str) -> Ended:
        get_settings.cache_clear()
        forget_engine(close=True)
        monkeypatch.setattr(sys, "argv", ["hub", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def api(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A served API that commands find through the environment."""
    monkeypatch.setenv("HUB_URL", served.url)
    monkeypatch.setenv("HUB_API_KEY", served.key)
    return served
