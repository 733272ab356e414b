"""Stands for a transport whose package is not installed in this process, or is broken: says so, and sends nothing.

Definitions stay readable with it, and executions wait for a worker that has the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pydantic import ConfigDict

from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm
from hub.integrations.transports.interface import Transport
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.errors import Invalid


class AnySettings(Form):
    """Settings of a form that nobody here knows."""

    model_config = ConfigDict(extra="ignore")


class AnyOperation(OperationForm):
    """What all operations have; the transport's own fields are not looked at."""

    model_config = ConfigDict(extra="ignore")


class MissingTransport(Transport):
    """Takes the place of a transport.

    Args:
        why: what `transport_of` raised.
    """

    name = "missing"
    schemes: ClassVar[Mapping[str, int]] = {}
    auth_modes: ClassVar[frozenset[str]] = frozenset()
    settings_form = AnySettings
    operation_form = AnyOperation

    def __init__(self, why: Invalid) -> None:
        self.why = why

    def prepare(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing can be made.

        Raises:
            Invalid: always.
        """
        raise self.why

    def send(self, *_: Any, **__: Any) -> Outcome:
        """Nothing is sent."""
        return Outcome(None, ErrorClass.INTERNAL, self.why.detail)

    probe = send
