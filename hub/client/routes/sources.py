"""Sources, and what providers sent to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part

if TYPE_CHECKING:
    from hub.client.results import Page, Source, SourceRequest, SourceRequestDetail


class SourceCalls(Calls):
    """Sources, and what providers sent to them."""

    def create_source(self, **fields: Any) -> Source:
        """Make a source: `name`, `verifier`, `secrets`, any field of the API. Tell the provider its `url`."""
        made: Source = self._send("POST", "/v1/sources", fields)
        return made

    def get_source(self, source_id: str) -> Source:
        """A source, `src_…`."""
        found: Source = self._get(_path(source_id))
        return found

    def list_sources(self, *, limit: int = 50, cursor: str | None = None) -> Page[Source]:
        """A page of sources."""
        page: Page[Source] = self._get("/v1/sources", limit=limit, cursor=cursor)
        return page

    def update_source(self, source_id: str, **fields: Any) -> Source:
        """Change a source; fields that are left out stay. `status="paused"` tells providers to come back later."""
        changed: Source = self._send("PATCH", _path(source_id), fields)
        return changed

    def delete_source(self, source_id: str) -> None:
        """Delete a source with its secrets; events that were made of its requests stay."""
        self._send("DELETE", _path(source_id))

    def rotate_source_secret(self, source_id: str, secret: str, **fields: Any) -> Source:
        """Give a source a new secret; those before it stay valid for `overlap_seconds`."""
        changed: Source = self._send("POST", f"{_path(source_id)}/rotate", {"secret": secret, **fields})
        return changed

    def list_source_requests(
        self, source_id: str, *, outcome: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[SourceRequest]:
        """A page of what a provider sent: all, or what was `accepted`, `duplicate`, `handshake` or `rejected`."""
        page: Page[SourceRequest] = self._get(
            f"{_path(source_id)}/requests", outcome=outcome, limit=limit, cursor=cursor
        )
        return page

    def get_source_request(self, source_id: str, request_id: str) -> SourceRequestDetail:
        """One request of a provider with its headers and body, and why it was verified or not."""
        found: SourceRequestDetail = self._get(f"{_path(source_id)}/requests/{part(request_id)}")
        return found

    def replay_source_request(self, source_id: str, request_id: str) -> SourceRequestDetail:
        """Verify a request anew, and make an event if none was made of it."""
        path = f"{_path(source_id)}/requests/{part(request_id)}/replay"
        found: SourceRequestDetail = self._send("POST", path)
        return found

    def list_source_profiles(self) -> list[dict[str, Any]]:
        """The providers that the hub knows: each can be the `profile` of a `verifier`."""
        found: list[dict[str, Any]] = self._get("/v1/source-profiles")["data"]
        return found


def _path(source_id: str) -> str:
    return f"/v1/sources/{part(source_id)}"
