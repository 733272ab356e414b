"""An outcome whose call was metered by the service: tokens, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.net.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class MeteredOutcome(Outcome):
    """An outcome with what the service counted.

    Args:
        usage: such as `input_tokens`, `output_tokens`, `cost`.
    """

    usage: Mapping[str, float] = field(default_factory=dict)
