"""What an integration's data policy lets be kept of an execution: contents, masked fields, or neither. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.db.states import State
from hub.integrations.pipeline.masking import MASK, mask

if TYPE_CHECKING:
    from hub.db.ledger import Attempt
    from hub.integrations.executions.store import Result
    from hub.integrations.target import Target
    from hub.net.outcome import Outcome


def keep_end(target: Target | None, given: Any, end: Result, state: State, *, mapped: bool) -> Result:
    """Take out of an end what must not be stored.

    Args:
        target: the integration; None when it was deleted, and its policy with it.
        given: the input as it is stored.
        end: changed in place.
        state: the execution's last one.
        mapped: a flow made the operation's input of what is stored.
    """
    if target is None:
        return end
    end.input = keep_input(target, given, state, mapped=mapped)
    if _nothing(target, state):
        end.data, end.data_base64, end.headers, end.request = None, False, None, None
        return end
    masks = target.masks
    if masks.input and end.request is not None:
        # Addresses and headers are made of the input.
        end.request = {"method": end.request["method"]}
    if masks.data and end.data is not None:
        kept = None if end.data_base64 else _masked(target, end.data)
        end.data, end.data_base64 = (None if kept is None else kept.decode()), False
    return end


def keep_input(target: Target, given: Any, state: State, *, mapped: bool) -> Any:
    """What takes the place of the stored input; None leaves it alone.

    The policy's paths are those of the operation's input. Where a flow made it of an event, what they hide may stand
    anywhere in the event, so that none of it is kept.
    """
    if _nothing(target, state) or (mapped and target.masks.input):
        return MASK
    return mask(given, target.masks.input) if target.masks.input else None


def keep_attempt(target: Target | None, outcome: Outcome, attempt: Attempt, excerpt: int) -> Attempt:
    """Take out of the record of a failed call what must not be stored.

    Args:
        target: the integration.
        outcome: the whole answer: fields cannot be found in the beginning of one.
        attempt: changed in place.
        excerpt: bytes of the answer that are kept.
    """
    if target is None or not excerpt:
        return attempt
    if target.data_policy.store == "none":
        attempt.response_headers, attempt.response_body = None, None
    elif target.masks.data and attempt.response_body:
        kept = _masked(target, outcome.body)
        attempt.response_body = None if kept is None else kept[:excerpt]
    return attempt


def _nothing(target: Target, state: State) -> bool:
    store = target.data_policy.store
    return store == "none" or (store == "errors" and state is not State.FAILED)


def _masked(target: Target, text: str | bytes) -> bytes | None:
    """An answer with its fields masked. What is no JSON has no paths: rather nothing than what must not be kept."""
    try:
        document = mask(json.loads(text), target.masks.data)
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
