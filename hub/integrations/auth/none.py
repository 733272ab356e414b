"""Calls that carry no credentials."""

from __future__ import annotations

from typing import Literal

from hub.integrations.auth.mode import Mode
from hub.integrations.forms import Form


class NoAuth(Form):
    """Calls carry no credentials."""

    mode: Literal["none"] = "none"


MODE = Mode("none", NoAuth)
