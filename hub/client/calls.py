"""What every route of the API is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hub.client.encoding import fields_to_json
from hub.core.ids import new_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.client.transport import Transport


class Calls:
    """Requests with and without an idempotency key."""

    _http: Transport

    def _get(self, path: str, **query: Any) -> Any:
        return self._http.request("GET", path, query=query, repeatable=True)[1]

    def _post(
        self,
        path: str,
        body: str,
        key: str | None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        extra_wait: float = 0.0,
    ) -> Any:
        """With an idempotency key, made here when none is given: done once, however often it is sent."""
        sent = {"Idempotency-Key": key or new_uuid().hex, **(headers or {})}
        return self._http.request(
            "POST", path, body=body, query=query, headers=sent, repeatable=True, extra_wait=extra_wait
        )[1]

    def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        repeatable: bool = False,
        extra_wait: float = 0.0,
    ) -> Any:
        """Without an idempotency key: a POST that is not `repeatable` is repeated only when nothing was accepted."""
        text = None if body is None else fields_to_json(body)
        return self._http.request(
            method,
            path,
            body=text,
            query=query,
            repeatable=repeatable or method != "POST",
            extra_wait=extra_wait,
        )[1]

    def _change(self, method: str, path: str, fields: dict[str, Any] | None, version: int | None) -> Any:
        """A change of what has versions; with one, only if it is still that."""
        return self._http.request(
            method,
            path,
            body=None if fields is None else fields_to_json(fields),
            headers={} if version is None else {"If-Match": f'"{version}"'},
            # A repeat of what was done would find the next version.
            repeatable=version is None,
        )[1]


def part(text: str) -> str:
    """An id or a name as one segment of a path, whatever is in it."""
    return quote(text, safe="") or "-"
