"""Sending a mail by SMTP (RFC 5321) through smtplib, over a guarded socket.

Promises: the login goes through TLS alone; the message id stays the same over the attempts of one execution, so that a
mail that arrived twice can be told.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
from email.errors import MessageError
from email.utils import make_msgid
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.messaging.mail import bare, compose
from hub.integrations.transports.messaging.message import write
from hub.net.outcome import ErrorClass, safe_text
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.messaging.mail import Mail

PORT, TLS_PORT = 587, 465

_MAX_REPLY_BYTES = 262_144
_GOODBYE_SECONDS = 2.0


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
        domain = bare(mail.sender).rpartition("@")[2]
        message_id = f"<{_plain(idempotency_key)}@{domain}>" if idempotency_key else make_msgid(domain=domain)
        everyone = [bare(one) for one in (*mail.to, *mail.cc, *mail.bcc)]
        try:
            message = compose(mail, message_id, now)
        except (MessageError, ValueError, LookupError):
            raise Verdict(ErrorClass.INTERNAL, "The mail could not be written.") from None
        refused = server.send_message(message, bare(mail.sender), everyone)
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


def _plain(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", key)[:64]
