"""What the demo makes of a hub that refuses."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
from rich.console import Console

from hub.client import FieldProblem, HubApiError
from hub.core.errors import ConfigError
from hub.demo.progress import Progress
from hub.demo.traffic import Demo, totals


class RefusingHub:
    """Answers each new integration with one problem."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create_integration(self, **_: Any) -> None:
        raise HubApiError(422, "invalid_input", "It is refused.", (FieldProblem(self._path, "is refused"),))


class NoServices:
    provider_url = "http://127.0.0.1:1"
    run = "run-1"


def run(path: str) -> None:
    progress = Progress(Console(file=io.StringIO()), totals())
    Demo(cast("Any", RefusingHub(path)), cast("Any", None), cast("Any", NoServices()), progress).run()


def test_a_hub_that_may_not_call_this_machine_says_how_to_allow_it() -> None:
    with pytest.raises(ConfigError, match="HUB_EGRESS_ALLOW"):
        run("base_url")


def test_another_refusal_is_told_as_it_is() -> None:
    with pytest.raises(HubApiError, match="It is refused"):
        run("name")


def test_the_progress_counts_to_what_the_plan_holds() -> None:
    assert totals() == {
        "executions": 200,
        "events": 2000,
        "to healthy": 2000,
        "to flaky": 800,
        "to gone": 1200,
        "health checks": 4,
    }
