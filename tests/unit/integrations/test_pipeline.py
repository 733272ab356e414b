"""A fault of the hub's own, before and after a call has left."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from hub.core.clock import SystemClock
from hub.db.states import State
from hub.integrations.auth.mode import Credentials
from hub.integrations.pipeline import calling, chain
from hub.integrations.pipeline.call import Call, Context, Stopped, Tools
from hub.monitoring import checks
from hub.net.outcome import ErrorClass, Outcome


class Broken:
    """A redactor with a bug."""

    def clean(self, _outcome: Outcome) -> None:
        raise RuntimeError("canary91")


def test_a_fault_after_the_answer_remembers_who_answered(caplog: pytest.LogCaptureFixture) -> None:
    transport = SimpleNamespace(send=lambda *_: Outcome(200, None, peer="192.0.2.1"))
    target: Any = SimpleNamespace(
        id=uuid.uuid4(), redactor=Broken(), transport=transport, connection=None, timeout=1.0, max_bytes=1
    )
    prepared: Any = SimpleNamespace()
    call = Call(target, "get", {}, Context(uuid.uuid4()), prepared=prepared, credentials=Credentials())
    tools = Tools(None)  # type: ignore[arg-type]
    calling.transport(call, tools)
    outcome = call.outcome
    assert outcome is not None
    # The retry decision asks for the peer: a call that may have arrived is not repeated unless it is idempotent.
    assert (outcome.error_class, outcome.peer) == (ErrorClass.INTERNAL, "192.0.2.1")
    assert "canary91" not in caplog.text + outcome.message


def test_a_health_check_that_cannot_be_made_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def probe(*_args: Any, **_options: Any) -> Any:
        raise RuntimeError("canary91")

    monkeypatch.setattr(chain, "probe", probe)
    target: Any = SimpleNamespace(hold=None, health_check={"timeout_seconds": 1})
    runner = checks.make_runner(None, SystemClock(), capacity=1, lease=90)  # type: ignore[arg-type]
    runner.add(SimpleNamespace(target=target, started_at=None, id=uuid.uuid4()))  # type: ignore[arg-type]
    ((_, came),) = runner.poll(5)
    assert isinstance(came, Stopped)
    assert (came.state, came.reason) == (State.SKIPPED, "internal")
    assert "canary91" not in caplog.text
