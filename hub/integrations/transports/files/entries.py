"""What is known of files, what clients of the three protocols can do, and how results are written."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from hub.integrations.transports.dialled import Verdict, too_large
from hub.net.outcome import ErrorClass, safe_text

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

Kind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or directory.

    Args:
        path: below the base directory.
        kind: what it is; None where the server does not say.
        size: bytes.
        modified: with its timezone.
        more: what only this protocol knows.
    """

    path: str
    kind: Kind | None = None
    size: int | None = None
    modified: datetime | None = None
    more: dict[str, str] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """As in results."""
        return {
            "name": self.path.rpartition("/")[2],
            "path": self.path,
            "type": self.kind,
            "size": self.size,
            "modified": None if self.modified is None else self.modified.isoformat(),
            **self.more,
        }


class Listing:
    """The entries of a directory, while they come.

    Args:
        glob: only names like this; None takes all.
        max_entries: more are left out.
        max_bytes: of the answer.
    """

    def __init__(self, glob: str | None, max_entries: int, max_bytes: int) -> None:
        self._glob = glob
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._size = 0
        self.entries: list[Entry] = []
        self.truncated = False

    def add(self, entry: Entry) -> bool:
        """Take one; False when no more is wanted.

        Raises:
            Verdict: the answer is too long.
        """
        if self._glob is not None and not fnmatchcase(entry.path.rpartition("/")[2], self._glob):
            return True
        if len(self.entries) >= self._max_entries:
            self.truncated = True
            return False
        self._size += len(entry.path) * 2 + 60
        if self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        self.entries.append(entry)
        return True


class Client(Protocol):
    """One connection to where files are; paths are below the base directory.

    Its methods raise `Verdict` for what the server answers and `OSError` for the connection.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def list(self, path: str, listing: Listing) -> None:
        """Fill a listing with what a directory has."""

    def stat(self, path: str) -> Entry:
        """What is known of one path."""

    def get(self, path: str, max_bytes: int) -> bytes:
        """A file's bytes; more than `max_bytes` is a verdict, not a part of it."""

    def put(self, path: str, content: bytes, *, overwrite: bool, content_type: str | None) -> None:
        """Write a file, whole or not at all where the protocol can."""

    def move(self, path: str, to: str, *, overwrite: bool) -> None:
        """Give a file another path."""

    def delete(self, path: str) -> None:
        """Remove a file."""


_TEXTS = {
    "not_found": "There is no such file or directory",
    "exists": "There is a file of this name already, and `overwrite` is off",
    "denied": "The server does not allow it",
    "is_directory": "It is a directory, and this needs a file",
    "not_a_directory": "It is no directory",
    "same": "Both paths are of the same file",
    "outside": "It is a link that leads out of the base directory",
    "no_space": "The server has no room for it",
    "failed": "The server could not do it",
}


def fault(code: str, path: str, said: str = "", *, status: int | None = None) -> Verdict:
    """The server's error about a path.

    Args:
        code: one of the above; it is the header `file-error`.
        path: below the base directory.
        said: the server's own words.
        status: of an answer over HTTP.
    """
    words = f" ({safe_text(said, 150).rstrip('.')})" if said else ""
    details: dict[str, str | int] = {"code": code, "path": path}
    if said:
        details["message"] = safe_text(said)
    return Verdict(
        ErrorClass.PROVIDER_ERROR,
        f"{_TEXTS[code]}: {safe_text(path, 100) or 'the base directory'}{words}.",
        headers={"file-error": code},
        details=details,
        status=status,
    )


def read_result(path: str, content: bytes, how: str) -> dict[str, Any]:
    """A file's bytes as a result; text that was asked for and is none is a verdict."""
    result: dict[str, Any] = {"path": path, **measured(content)}
    if how != "base64":
        try:
            return {**result, "text": content.decode()}
        except UnicodeDecodeError:
            if how == "text":
                raise Verdict(
                    ErrorClass.PROVIDER_ERROR,
                    "The file is not UTF-8 text; take it as base64.",
                    headers={"file-error": "not_text"},
                ) from None
    return {**result, "base64": base64.b64encode(content).decode()}


def measured(content: bytes) -> dict[str, Any]:
    """What tells a file's bytes from others."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def written(result: dict[str, Any], max_bytes: int) -> bytes:
    """A result as the answer's body.

    Raises:
        Verdict: it is too long.
    """
    body = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    return body
