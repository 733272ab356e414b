"""Mail by SMTP (RFC 5321, RFC 5322) through smtplib, over a guarded socket.

Promises: no text of the input becomes a header or a recipient of its own; the login goes through TLS alone; the message
id stays the same over the attempts of one execution, so that a mail that arrived twice can be told.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import smtplib
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.messaging.message import write
from hub.net.outcome import ErrorClass, safe_text
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.messaging.forms import MessagingOperation

PORT, TLS_PORT = 587, 465

MAX_RECIPIENTS = 100
_MAX_REPLY_BYTES = 262_144
_GOODBYE_SECONDS = 2.0
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


def send(
    way: Way,
    mail: Mail | None,
    *,
    implicit: bool,
    username: str,
    password: Secret | None,
    helo: str | None,
    idempotency_key: str,
    now: datetime,
) -> bytes:
    """Connect, log in and send; without a mail only the first two."""
    with _asking(), contextlib.closing(_Smtp(way, implicit=implicit, helo=helo)) as server:
        code, said = server.connect(way.host, way.port)
        if code != 220:
            raise _verdict(code, said)
        way.trace.phase = Phase.WAIT
        server.ehlo_or_helo_if_needed()
        if way.context is not None and not implicit:
            if not server.has_extn("starttls"):
                raise Verdict(ErrorClass.TLS, "The server does not offer STARTTLS.")
            context: Any = way
            server.starttls(context=context)
            way.trace.phase = Phase.WAIT
            server.ehlo_or_helo_if_needed()
        if password is not None:
            if way.context is None:
                raise Verdict(ErrorClass.TLS, "A login is sent only through TLS; see settings.tls.")
            _log_in(server, username, password)
        if mail is None:
            server.noop()
            return b"{}"
        domain = _bare(mail.sender).rpartition("@")[2]
        message_id = f"<{_plain(idempotency_key)}@{domain}>" if idempotency_key else make_msgid(domain=domain)
        everyone = [_bare(one) for one in (*mail.to, *mail.cc, *mail.bcc)]
        try:
            message = compose(mail, message_id, now)
        except (MessageError, ValueError, LookupError):
            raise Verdict(ErrorClass.INTERNAL, "The mail could not be written.") from None
        refused = server.send_message(message, _bare(mail.sender), everyone)
        result = {
            "message_id": message_id,
            "accepted": [one for one in everyone if one not in refused],
            "refused": {one: safe_text(f"{code} {_said(text)}") for one, (code, text) in refused.items()},
        }
        with contextlib.suppress(Exception):
            # The mail is taken; a server that says no goodbye must not hold the worker.
            if server.sock is not None:
                server.sock.settimeout(_GOODBYE_SECONDS)
            server.quit()
        return write(result)


def _log_in(server: _Smtp, username: str, password: Secret) -> None:
    try:
        server.login(_Utf8(username), _Utf8(password.reveal()))
    except smtplib.SMTPException as error:
        if type(error) not in {smtplib.SMTPException, smtplib.SMTPNotSupportedError}:
            raise
        # The first is for what has no other: no mechanism in common, or a dialogue without end.
        raise Verdict(
            ErrorClass.UNAUTHORIZED, "The server offers no login that the hub has (PLAIN, LOGIN or CRAM-MD5)."
        ) from None


class _Utf8(str):
    """A text of a login. Smtplib asks for its ASCII form, but servers expect UTF-8 (RFC 4616, 2)."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """As UTF-8, whatever is asked for."""
        del encoding
        return super().encode("utf-8", errors)


class _Smtp(smtplib.SMTP):
    """smtplib on the way of one call."""

    def __init__(self, way: Way, *, implicit: bool, helo: str | None) -> None:
        self._way = way
        self._implicit = implicit
        self._file: Any = None
        # Without a name of its own it would look this machine's up.
        super().__init__(local_hostname=helo or "integration-hub.invalid")

    @property
    def file(self) -> Any:
        """What replies are read from; bounded."""
        return self._file

    @file.setter
    def file(self, value: Any) -> None:
        self._file = None if value is None else _Bounded(value)

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """As smtplib's, with texts that need not be ASCII."""

        def answer(challenge: Any = None) -> Any:
            said = authobject(challenge)
            return None if said is None else _Utf8(said)

        return super().auth(mechanism, answer, initial_response_ok=initial_response_ok)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        del host, port, timeout
        self._host = self._way.host
        sock = self._way.dial()
        return self._way.wrap_socket(sock) if self._implicit else sock


class _Bounded:
    """Replies of a server, up to a total."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._room = _MAX_REPLY_BYTES

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._stream.readline(limit)
        self._room -= len(line)
        if self._room < 0:
            raise Verdict(ErrorClass.PROTOCOL, "The server does not stop to talk.")
        return line

    def close(self) -> None:
        self._stream.close()


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """Smtplib's errors as verdicts; all of them are OSErrors, too."""
    try:
        yield
    except smtplib.SMTPServerDisconnected as error:
        cause = error.__context__
        raise (
            cause if isinstance(cause, OSError) else ConnectionResetError("closed by the other side")
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise Verdict(
            ErrorClass.PROVIDER_ERROR, "The server takes no addresses beyond ASCII (it has no SMTPUTF8)."
        ) from None
    except smtplib.SMTPAuthenticationError as error:
        if 400 <= error.smtp_code < 500 and error.smtp_code != 432:
            raise _verdict(error.smtp_code, error.smtp_error) from None
        raise Verdict(ErrorClass.UNAUTHORIZED, f"The server refused the login ({error.smtp_code}).") from None
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise _verdict(code, text) from None
    except smtplib.SMTPResponseException as error:
        raise _verdict(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPException as error:
        raise Verdict(ErrorClass.PROVIDER_ERROR, f"SMTP: {safe_text(str(error), 200).rstrip('.')}.") from None
    except (Verdict, OSError):
        raise
    except ValueError:
        raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid SMTP.") from None


def _verdict(code: int, said: bytes | str) -> Verdict:
    text = safe_text(_said(said), 200).rstrip(".")
    if not 400 <= code < 600:
        return Verdict(ErrorClass.PROTOCOL, "The answer is not valid SMTP.")
    if code in {530, 534, 535, 538}:
        return Verdict(ErrorClass.UNAUTHORIZED, f"The server wants another login ({code}).")
    error_class = ErrorClass.PROVIDER_BUSY if code < 500 else ErrorClass.PROVIDER_ERROR
    return Verdict(
        error_class,
        f"SMTP: {text} ({code}).",
        headers={"smtp-code": str(code)},
        details={"code": code, "message": text},
    )


def _said(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


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


def _bare(person: str) -> str:
    found = _ADDRESS.fullmatch(person)
    return found[1] if found else person


def _address(person: str) -> Address:
    name = person.partition("<")[0].strip().strip('"') if "<" in person else ""
    user, _, domain = _bare(person).rpartition("@")
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


def _plain(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", key)[:64]
