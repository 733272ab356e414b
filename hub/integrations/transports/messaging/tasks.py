"""What an operation and an input together ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.integrations.transports.messaging import mail, message
from hub.integrations.transports.messaging.message import Message
from hub.net.signed import signed

if TYPE_CHECKING:
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.messaging.forms import MessagingOperation
    from hub.integrations.transports.messaging.mail import Mail

_TRACEPARENT = "traceparent"
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,62})\}")
_VALUE = re.compile(r"[^\x00-\x1f\x7f/+#]{1,255}")
_AFTER = re.compile(r"\d{1,20}(?:-\d{1,20})?")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done.

    Args:
        form: of the operation.
        place: the queue, exchange, topic, stream, list or channel.
        routing_key: of an exchange.
        message: to publish.
        mail: to send.
        after: the entry of a stream after which to read.
        idempotency_key: of the execution.
    """

    form: MessagingOperation
    place: str = ""
    routing_key: str = ""
    message: Message = field(default_factory=Message)
    mail: Mail | None = None
    after: str | None = None
    idempotency_key: str = ""


def task_of(
    form: MessagingOperation, place: str | None, given: dict[str, Any], at: str, faults: list[FieldError]
) -> Task:
    """Read an input.

    Args:
        form: the operation.
        place: which of its fields says where; None for mail.
        given: the input.
        at: where it stands, for errors.
        faults: gets what is wrong with it.
    """
    if form.action == "send":
        return Task(form, mail=mail.read(form, given, at, faults))
    known = {"parameters", "headers", "json", "text", "base64", "fields"}
    if form.action == "consume":
        known = {"parameters", "after"} if form.stream is not None and form.group is None else {"parameters"}
    elif form.stream is None:
        known.remove("fields")
    faults += [
        FieldError(f"{at}.{name}", f"unknown; the input of {form.action} has {', '.join(sorted(known))}")
        for name in sorted(given.keys() - known)
    ]
    templates = [str(getattr(form, place or "")), form.routing_key or ""]
    filled = _fill(templates, given.get("parameters", {}), f"{at}.parameters", faults)
    if form.action == "consume":
        after = given.get("after")
        if after is not None and not (isinstance(after, str) and _AFTER.fullmatch(after)):
            faults.append(FieldError(f"{at}.after", "must be the id of an entry, such as 1700000000000-0"))
        return Task(form, filled[0], after=after)
    found = message.read({name: given[name] for name in given.keys() & known}, at, faults)
    fixed = message.texts(dict(form.headers), f"{at}.headers", faults)
    found = replace(
        found,
        headers={**fixed, **found.headers},
        content_type=form.content_type or found.content_type,
    )
    return Task(form, filled[0], filled[1], found)


def traced(task: Task, traceparent: str | None) -> Task:
    """The task with the trace context among the headers of its message or mail; their own one stays.

    Args:
        task: what is to be done.
        traceparent: the value of W3C Trace Context, 3.2; None when there is none.
    """
    if traceparent is None:
        return task
    headers = task.message.headers if task.mail is None else task.mail.headers
    if any(name.lower() == _TRACEPARENT for name in headers):
        return task
    headers = {**headers, _TRACEPARENT: traceparent}
    if task.mail is not None:
        return replace(task, mail=replace(task.mail, headers=headers))
    return replace(task, message=replace(task.message, headers=headers))


def traceparent_of(credentials: Credentials) -> str | None:
    """The trace context of a call: it comes with the authentication, as a header of HTTP."""
    if credentials.http is None:
        return None
    return signed("POST", "https://host.invalid/", {}, credentials.http).headers.get(_TRACEPARENT)


def _fill(templates: list[str], given: Any, at: str, faults: list[FieldError]) -> list[str]:
    names = {name for template in templates for name in _HOLE.findall(template)}
    if not isinstance(given, dict):
        faults.append(FieldError(at, "must be an object of texts"))
        return templates
    faults += [
        FieldError(f"{at}.{name}", "the operation has no such parameter")
        for name in sorted(given.keys() - names)
    ]
    values = {}
    for name in sorted(names):
        value = given.get(name)
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if not _VALUE.fullmatch(text):
            fault = (
                "is required"
                if value is None
                else "must be a text of 1 to 255 characters without / + # or control characters"
            )
            faults.append(FieldError(f"{at}.{name}", fault))
        values[name] = text
    return [_HOLE.sub(lambda hole: values[hole[1]], template) for template in templates]
