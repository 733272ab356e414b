"""What is in a message: from the input's JSON to bytes, and back."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.integrations.transports.dialled import too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON, _TEXT = "application/json", "text/plain"


@dataclass(frozen=True, slots=True)
class Message:
    """One to publish.

    Args:
        body: its bytes.
        content_type: None for bytes of no known kind.
        headers: texts by name.
        fields: of a Redis stream, in place of all the others.
    """

    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] | None = None


def read(given: Mapping[str, Any], at: str, faults: list[FieldError]) -> Message:
    """The message of an input: one of `json`, `text`, `base64` and `fields`, and `headers`."""
    headers = texts(given.get("headers", {}), f"{at}.headers", faults)
    kinds = [name for name in ("json", "text", "base64", "fields") if name in given]
    if len(kinds) != 1:
        faults.append(FieldError(at, "must have one of `json`, `text`, `base64` and, for streams, `fields`"))
        return Message()
    value = given[kinds[0]]
    try:
        match kinds[0]:
            case "json":
                body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
                return Message(body, _JSON, headers)
            case "text" if isinstance(value, str):
                return Message(value.encode(), _TEXT, headers)
            case "base64" if isinstance(value, str):
                return Message(base64.b64decode(value, validate=True), None, headers)
            case "fields" if isinstance(value, dict) and value:
                return Message(fields=texts(value, f"{at}.fields", faults))
    except (binascii.Error, ValueError):
        pass
    wants = {
        "text": "must be Unicode text",
        "base64": "must be base64",
        "fields": "must be an object of texts",
    }
    faults.append(FieldError(f"{at}.{kinds[0]}", wants.get(kinds[0], "cannot be written as JSON")))
    return Message()


def texts(given: Any, at: str, faults: list[FieldError]) -> dict[str, str]:
    """An object of texts (numbers become texts), without control characters in the names."""
    if not isinstance(given, dict):
        faults.append(FieldError(at, "must be an object of texts"))
        return {}
    found: dict[str, str] = {}
    for name, value in given.items():
        if not name or not name.isprintable() or not isinstance(value, (str, int, float)):
            faults.append(FieldError(f"{at}.{name}", "must be a text or a number, under a plain name"))
        else:
            found[name] = json.dumps(value) if isinstance(value, (bool, float)) else str(value)
            if not _is_unicode(found[name]):
                faults.append(FieldError(f"{at}.{name}", "must be Unicode text"))
    return found


def shown(body: bytes, content_type: str | None) -> dict[str, Any]:
    """A body in a result: JSON when it says that it is, text when it is text, else base64."""
    try:
        text = body.decode()
        if content_type is not None and content_type.partition(";")[0].strip().endswith("json"):
            return {"json": json.loads(text)}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    except (ValueError, RecursionError):
        pass
    return {"text": text}


class Inbox:
    """Consumed messages, while they come.

    Args:
        count: no more are wanted.
        max_bytes: of the answer.
    """

    def __init__(self, count: int, max_bytes: int) -> None:
        self._count = count
        self._max_bytes = max_bytes
        self._size = 64
        self._messages: list[bytes] = []

    @property
    def missing(self) -> int:
        """How many more are wanted."""
        return self._count - len(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, body: bytes, content_type: str | None, **more: Any) -> bool:
        """Take one; False when it does not fit any more, and so has to stay where it was.

        Raises:
            Verdict: not even the first one fits.
        """
        known = {name: value for name, value in more.items() if value is not None}
        message = write({**shown(body, content_type), **known})
        if self._size + len(message) + 1 > self._max_bytes:
            if not self._messages:
                raise too_large(self._max_bytes)
            return False
        self._size += len(message) + 1
        self._messages.append(message)
        return True

    def body(self) -> bytes:
        """The answer."""
        return b'{"count":%d,"messages":[%s]}' % (len(self._messages), b",".join(self._messages))


def write(result: dict[str, Any]) -> bytes:
    """A result as JSON."""
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _is_unicode(text: str) -> bool:
    return text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")


class BoundedSocket:
    """A guarded socket that gives a call no more bytes than it may keep.

    Libraries read a message to its end whatever its length, so the bound stands where all of them read.

    Args:
        sock: the guarded one.
        max_bytes: of the answer; on the wire a message may take twice that, and some for the protocol.
    """

    def __init__(self, sock: Any, max_bytes: int) -> None:
        self._sock = sock
        self._max_bytes = max_bytes
        self._room = max_bytes * 2 + 65_536
        self.heard = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As in `socket`."""
        data: bytes = self._sock.recv(size, flags)
        self.heard = self.heard or bool(data)
        self._room -= len(data)
        if self._room < 0:
            raise too_large(self._max_bytes)
        return data

    def renew(self, max_bytes: int) -> None:
        """For the next call on the same connection."""
        self._max_bytes = max_bytes
        self._room = max_bytes * 2 + 65_536

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
