"""Objects that come in several forms, told apart by one of their fields: pydantic's discriminated unions.

Of an object without that field pydantic says only that it found no tag. With `told_by` it is refused like one whose
field names no form, and `hub.web.problems.fault_message` lists the forms that there are.
"""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator


def told_by(field: str) -> BeforeValidator:
    """For a union's annotations, after `Field(discriminator=field)`.

    Args:
        field: the discriminator.
    """

    def name_it(value: Any) -> Any:
        return {field: None, **value} if isinstance(value, dict) else value

    return BeforeValidator(name_it)
