"""A mail (RFC 5322): read from an input, and as it travels.

Promises: no text of the input becomes a header or a recipient of its own. Leaves to others: sending it (`smtp`).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.integrations.transports.messaging.forms import MessagingOperation

MAX_RECIPIENTS = 100
_NAMES = frozenset(
    {"from", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "attachments", "headers"}
)
_ADDRESS = re.compile(
    r"(?:[^<>\x00-\x1f\x7f]*<)?([^\s<>,;:\"\\@\x00-\x1f]{1,64}@[A-Za-z0-9\u0080-\U0010ffff.-]{1,255})>?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_OWN_HEADER = re.compile(
    r"(?:X-[A-Za-z0-9-]{1,60}|In-Reply-To|References|List-Unsubscribe(?:-Post)?|Auto-Submitted|Precedence)"
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside the text."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One to send; addresses as `me@example.org` or `Me <me@example.org>`."""

    sender: str = ""
    to: list[str] = field(default_factory=list)
    cc: list[str] = field(default_factory=list)
    bcc: list[str] = field(default_factory=list)
    reply_to: list[str] = field(default_factory=list)
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: list[Attachment] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def read(form: MessagingOperation, given: Mapping[str, Any], at: str, faults: list[FieldError]) -> Mail:
    """The mail of an input; `from`, `to` and `subject` come from the operation when it has none."""
    faults += [
        FieldError(f"{at}.{name}", f"unknown; a mail has {', '.join(sorted(_NAMES))}")
        for name in sorted(given.keys() - _NAMES)
    ]
    people = {
        name: _people(given.get(name, form.to if name == "to" else []), f"{at}.{name}", faults)
        for name in ("to", "cc", "bcc", "reply_to")
    }
    total = len(people["to"]) + len(people["cc"]) + len(people["bcc"])
    if not 1 <= total <= MAX_RECIPIENTS:
        faults.append(FieldError(f"{at}.to", f"there must be 1 to {MAX_RECIPIENTS} recipients"))
    sender = _people([given.get("from", form.sender) or ""], f"{at}.from", faults)
    subject = _line(given.get("subject", form.subject or ""), f"{at}.subject", faults)
    text, html = (_body(given.get(name), f"{at}.{name}", faults) for name in ("text", "html"))
    if text is None and html is None:
        faults.append(FieldError(at, "must have `text` or `html`"))
    extra = given.get("headers", {})
    if not isinstance(extra, dict):
        faults.append(FieldError(f"{at}.headers", "must be an object of texts"))
        extra = {}
    headers: dict[str, str] = {}
    for name, value in {**form.headers, **extra}.items():
        if not _OWN_HEADER.fullmatch(name):
            text_ = "is not a header that a mail may add; X-… ones, References and a few others are"
            faults.append(FieldError(f"{at}.headers.{name}", text_))
        headers[name] = _line(value, f"{at}.headers.{name}", faults)
    return Mail(
        sender[0] if sender else "", people["to"], people["cc"], people["bcc"], people["reply_to"], subject, text, html,
        _attachments(given.get("attachments", []), f"{at}.attachments", faults), headers,
    )  # fmt: skip


def compose(mail: Mail, message_id: str, now: datetime) -> EmailMessage:
    """The message as it travels; without those in `bcc`."""
    made = EmailMessage(policy=MAIL_POLICY)
    made["From"] = _address(mail.sender)
    for name, people in (("To", mail.to), ("Cc", mail.cc), ("Reply-To", mail.reply_to)):
        if people:
            made[name] = [_address(one) for one in people]
    made["Subject"] = mail.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = message_id
    for name, value in mail.headers.items():
        made[name] = value
    if mail.text is not None:
        made.set_content(mail.text)
        if mail.html is not None:
            made.add_alternative(mail.html, subtype="html")
    else:
        made.set_content(mail.html or "", subtype="html")
    for one in mail.attachments:
        kind, _, subkind = one.content_type.partition("/")
        made.add_attachment(one.content, maintype=kind, subtype=subkind, filename=one.name)
    return made


def _people(given: Any, at: str, faults: list[FieldError]) -> list[str]:
    people = [given] if isinstance(given, str) else given
    if not isinstance(people, list):
        faults.append(FieldError(at, "must be an address or a list of them"))
        return []
    for one in people:
        if not isinstance(one, str) or not _ADDRESS.fullmatch(one.strip()) or len(one) > 320:
            faults.append(
                FieldError(at, "must be addresses such as `me@example.org` or `Me <me@example.org>`")
            )
            return []
    return [one.strip() for one in people]


def bare(person: str) -> str:
    """The address alone, of `Me <me@example.org>`."""
    found = _ADDRESS.fullmatch(person)
    return found[1] if found else person


def _address(person: str) -> Address:
    name = person.partition("<")[0].strip().strip('"') if "<" in person else ""
    user, _, domain = bare(person).rpartition("@")
    return Address(name, user, domain)


def _line(given: Any, at: str, faults: list[FieldError]) -> str:
    if not isinstance(given, str) or _CONTROL.search(given) or len(given) > 998:
        faults.append(FieldError(at, "must be one line of text, without control characters"))
        return ""
    return given


def _body(given: Any, at: str, faults: list[FieldError]) -> str | None:
    if given is not None and (
        not isinstance(given, str)
        or given.encode("utf-8", "replace") != given.encode("utf-8", "surrogatepass")
    ):
        faults.append(FieldError(at, "must be a text"))
        return None
    return given


def _attachments(given: Any, at: str, faults: list[FieldError]) -> list[Attachment]:
    if not isinstance(given, list) or len(given) > 20:
        faults.append(FieldError(at, "must be a list of at most 20 files"))
        return []
    found = []
    for number, one in enumerate(given):
        path = f"{at}.{number}"
        name = one.get("name") if isinstance(one, dict) else None
        kind = one.get("content_type", "application/octet-stream") if isinstance(one, dict) else None
        content = one.get("base64") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name or len(name) > 255 or _CONTROL.search(name) or "/" in name:
            faults.append(FieldError(f"{path}.name", "must be a file name"))
        elif (
            not isinstance(kind, str)
            or not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", kind)
            or kind.startswith("multipart/")
        ):
            faults.append(FieldError(f"{path}.content_type", "must be a media type such as application/pdf"))
        else:
            try:
                found.append(Attachment(name, kind, base64.b64decode(content or "", validate=True)))
            except (binascii.Error, ValueError, TypeError):
                faults.append(FieldError(f"{path}.base64", "must be base64"))
    return found
