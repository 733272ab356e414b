"""May what somebody set up start by itself now? Judged anew by today's rules, for the key that set it up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.integrations.executions.accepting import Refused, check_access
from hub.integrations.registry.policies import Access

if TYPE_CHECKING:
    from hub.integrations.executions.accepting import Caller


def refusal_of(access: Any, caller: Caller) -> Refused | None:
    """Why an integration does not take this caller; None when it does.

    Args:
        access: the integration's rules, as they are stored.
        caller: the key that made the schedule or flow, with its roles; it acts for no user.

    Raises:
        ValueError: the rules cannot be read: somebody spoilt them by hand.
    """
    try:
        check_access(Access.model_validate(access), caller, None)
    except Refused as error:
        return error
    return None
