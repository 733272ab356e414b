"""The file transport: one action on one path, by SFTP, FTPS or S3.

Promises: no path leaves the base directory; a file arrives whole or is no success; what is written appears at once
under its name where the protocol can. Each call to SFTP and FTPS is a connection of its own; S3 uses the session's.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.dialled import Verdict, Way, concluded, tls_for
from hub.integrations.transports.files import host_keys, paths
from hub.integrations.transports.files.entries import Listing, measured, read_result, written
from hub.integrations.transports.files.forms import FileOperation, FileSettings
from hub.integrations.transports.interface import Prepared, Transport
from hub.net.outcome import ErrorClass
from hub.net.sockets import Deadline
from hub.net.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.files.entries import Client
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

_PORTS = {"sftp": 22, "ftps": 21, "ftpsi": 990, "https": 443, "http": 80}
_S3 = frozenset({"https", "http"})
_FTPS = frozenset({"ftps", "ftpsi"})
_SAFE = frozenset({"list", "get", "stat"})


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done.

    Args:
        form: of the operation.
        path: below the base directory.
        to: for a move.
        content: for a put.
    """

    form: FileOperation
    path: str
    to: str
    content: bytes


class FileTransport(Transport):
    """SFTP, FTPS and S3."""

    name = "file_transfer"
    schemes: ClassVar[Mapping[str, int]] = _PORTS
    auth_modes = frozenset({"basic", "ssh_key", "aws_sigv4", "none"})
    settings_form = FileSettings
    operation_form = FileOperation

    def settings_faults(self, settings: Any, base_url: str) -> list[FieldError]:
        """See `Transport`."""
        parts = urlsplit(base_url)
        faults = []
        if parts.scheme == "sftp":
            if find_spec("paramiko") is None:
                faults.append(
                    FieldError("base_url", "needs the package paramiko: install integration-hub[sftp]")
                )
            if settings.host_key is None:
                text = "is required for SFTP: the server's key, from ssh-keyscan or its operator"
                faults.append(FieldError("settings.host_key", text))
            else:
                try:
                    host_keys.parse(settings.host_key)
                except ValueError as error:
                    faults.append(FieldError("settings.host_key", str(error)))
        elif settings.host_key is not None:
            faults.append(FieldError("settings.host_key", "is for SFTP alone"))
        path = unquote(parts.path).strip("/")
        if parts.scheme in _S3 and not path:
            faults.append(
                FieldError(
                    "base_url", "must name the bucket, such as https://s3.eu-west-1.amazonaws.com/bucket"
                )
            )
        inner = path.removeprefix("~/") if parts.scheme == "sftp" and path != "~" else path
        if path and path != "~":
            faults += [
                FieldError("base_url", f"has a directory that {text}") for text in paths.path_faults(inner)
            ]
        return faults

    def operation_faults(self, operation: Any, settings: Any, at: str) -> list[FieldError]:
        """See `Transport`."""
        del settings
        form: FileOperation = operation
        faults = [FieldError(f"{at}.path", text) for text in paths.template_faults(form.path)]
        if form.action not in {"list", "stat"} and not form.path:
            faults.append(FieldError(f"{at}.path", f"is required for {form.action}"))
        if form.action == "move":
            if not form.to:
                faults.append(FieldError(f"{at}.to", "is required for move"))
            elif form.to == form.path:
                faults.append(FieldError(f"{at}.to", "is the same as the path"))
            else:
                faults += [FieldError(f"{at}.to", text) for text in paths.template_faults(form.to)]
        elif form.to is not None:
            faults.append(FieldError(f"{at}.to", "is for move alone"))
        if form.glob is not None and (form.action != "list" or "/" in form.glob):
            faults.append(FieldError(f"{at}.glob", "is for list alone, and is one name without a slash"))
        if form.safe and form.action not in _SAFE:
            faults.append(FieldError(f"{at}.safe", f"{form.action} changes something"))
        return faults

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`. The input has `path`, the parameters, and for put `text` or `base64`."""
        form: FileOperation | None = connection.operations.get(operation)
        if form is None:
            known = ", ".join(sorted(connection.operations)) or "none"
            raise _invalid(
                [FieldError("operation", f"this integration has no such operation; it has {known}")]
            )
        faults: list[FieldError] = []
        input_ = {} if given is None else given
        if not isinstance(input_, dict) or not isinstance(input_.get("path", {}), dict):
            raise _invalid([FieldError(field, "must be an object such as {path: {name: value}}")])
        content = _content(input_, form, field, faults)
        values = input_.get("path", {})
        path, found = paths.fill(form.path, values, f"{field}.path")
        to, more = paths.fill(form.to or "", values, f"{field}.path")
        faults += found + [fault for fault in more if fault not in found]
        known_names = {*paths.names_of(form.path), *paths.names_of(form.to or "")}
        faults += [
            FieldError(f"{field}.path.{name}", "the path has no such parameter")
            for name in sorted(values.keys() - known_names)
        ]
        if form.action == "move" and not faults and path == to:
            faults.append(FieldError(f"{field}.path", f"makes the same of both paths: {path}"))
        if faults:
            raise _invalid(faults)
        safe = form.action in _SAFE
        idempotent = safe or (form.action == "put" and form.overwrite)
        payload: dict[str, Any] = {"path": path}
        if form.action == "move":
            payload["to"] = to
        if form.action == "put":
            payload |= measured(content)
        return Prepared(
            method=form.action,
            endpoint=f"{connection.base_url}/{path}".rstrip("/"),
            headers={},
            payload=payload,
            safe=safe if form.safe is None else form.safe,
            idempotent=idempotent if form.idempotent is None else form.idempotent,
            wire=Task(form, path, to, content),
        )

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """See `Transport`."""
        return _call(session, connection, prepared.wire, credentials, caps)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Log in and look at the base directory."""
        task = Task(FileOperation(action="list", max_entries=1), "", "", b"")
        return _call(session, connection, task, credentials, caps)


def _call(
    session: GuardedSession, connection: Connection, task: Task, credentials: Credentials, caps: Caps
) -> Outcome:
    trace, deadline = Trace(), Deadline(caps.timeout)

    def work() -> bytes:
        with _client(session, connection, credentials, caps, deadline, trace) as client:
            return written(_do(client, task, caps.max_bytes), caps.max_bytes)

    return concluded(work, trace, deadline, caps)


def _do(client: Client, task: Task, max_bytes: int) -> dict[str, Any]:
    form, path = task.form, task.path
    match form.action:
        case "list":
            listing = Listing(form.glob, form.max_entries, max_bytes)
            client.list(path, listing)
            return {
                "path": path,
                "entries": [entry.shown() for entry in listing.entries],
                "truncated": listing.truncated,
            }
        case "stat":
            return client.stat(path).shown()
        case "get":
            return read_result(path, client.get(path, max_bytes), form.content)
        case "put":
            client.put(path, task.content, overwrite=form.overwrite, content_type=form.content_type)
            return {"path": path, **measured(task.content)}
        case "move":
            client.move(path, task.to, overwrite=form.overwrite)
            return {"path": path, "to": task.to}
        case "delete":
            client.delete(path)
            return {"path": path}


def _client(
    session: GuardedSession,
    connection: Connection,
    credentials: Credentials,
    caps: Caps,
    deadline: Deadline,
    trace: Trace,
) -> Client:
    parts = urlsplit(connection.base_url)
    if parts.scheme in _S3:
        from hub.integrations.transports.files.s3 import S3Client  # noqa: PLC0415 - only for who uses it

        return S3Client(session, connection, credentials, caps, deadline, trace)
    usual = _PORTS[parts.scheme]
    context = tls_for(session, connection.tls, "verify") if parts.scheme in _FTPS else None
    port = parts.port or usual
    way = Way(session.policy, parts.hostname or "", port, usual, context, deadline, caps.cancellation, trace)
    base = unquote(parts.path)
    username = str(credentials.parameters.get("username") or "")
    secrets = credentials.secrets
    if not username or not {"password", "private_key"} & secrets.keys():
        raise Verdict(
            ErrorClass.UNAUTHORIZED, "There is no user to log in as; use auth.mode basic or ssh_key."
        )
    if parts.scheme == "sftp":
        from hub.integrations.transports.files.sftp import SftpClient  # noqa: PLC0415

        base = base.removeprefix("/") if base.startswith("/~") else base
        pinned = host_keys.parse(connection.settings.host_key or "")
        return SftpClient(way, username, secrets, pinned, base)
    from hub.integrations.transports.files.ftps import FtpsClient  # noqa: PLC0415

    if "password" not in secrets:
        raise Verdict(ErrorClass.UNAUTHORIZED, "FTPS needs a password; use auth.mode basic.")
    return FtpsClient(way, username, secrets["password"], base, implicit=parts.scheme == "ftpsi")


def _content(given: dict[str, Any], form: FileOperation, field: str, faults: list[FieldError]) -> bytes:
    names = {"path", "text", "base64"} if form.action == "put" else {"path"}
    faults += [
        FieldError(f"{field}.{name}", f"unknown; the input of {form.action} has {', '.join(sorted(names))}")
        for name in sorted(given.keys() - names)
    ]
    if form.action != "put":
        return b""
    text, encoded = given.get("text"), given.get("base64")
    if (text is None) == (encoded is None):
        faults.append(FieldError(field, "must have either `text` or `base64`"))
    elif isinstance(text, str):
        try:
            return text.encode()
        except UnicodeEncodeError:
            faults.append(FieldError(f"{field}.text", "must be valid Unicode"))
    elif isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            faults.append(FieldError(f"{field}.base64", "must be base64"))
    else:
        faults.append(FieldError(f"{field}.{'base64' if text is None else 'text'}", "must be a text"))
    return b""


def _invalid(faults: list[FieldError]) -> Invalid:
    return Invalid.of(faults)
