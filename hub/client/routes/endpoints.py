"""Endpoints."""

# ruff: noqa: A002 - `type`, `id` and `input` are the fields' names

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part
from hub.client.encoding import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.client.results import (
        Endpoint,
        EndpointDetail,
        EndpointSecret,
        EndpointStatistics,
        EndpointSwitched,
        ImportReport,
        Page,
        SentTest,
    )


class EndpointCalls(Calls):
    """Endpoints."""

    def create_endpoint(self, **fields: Any) -> EndpointSecret:
        """Make an endpoint: `name`, `url`, any field of the API. Its secret is in this answer only."""
        endpoint: EndpointSecret = self._send("POST", "/v1/endpoints", fields)
        return endpoint

    def get_endpoint(self, endpoint_id: str) -> EndpointDetail:
        """An endpoint, `ep_…`, and how it did in the last 24 hours."""
        endpoint: EndpointDetail = self._get(f"/v1/endpoints/{part(endpoint_id)}")
        return endpoint

    def list_endpoints(self, *, limit: int = 50, cursor: str | None = None) -> Page[Endpoint]:
        """A page of endpoints."""
        page: Page[Endpoint] = self._get("/v1/endpoints", limit=limit, cursor=cursor)
        return page

    def update_endpoint(self, endpoint_id: str, *, version: int | None = None, **fields: Any) -> Endpoint:
        """Change an endpoint; fields that are left out stay. `status="active"` sends what was held.

        Args:
            endpoint_id: `ep_…`.
            version: that was read; the change is refused (412) if there is another one now.
            fields: any of the API.
        """
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        endpoint: Endpoint = self._http.request(
            "PATCH",
            f"/v1/endpoints/{part(endpoint_id)}",
            body=to_json(fields),
            headers=headers,
            # A repeat of what was done would find the next version.
            repeatable=version is None,
        )[1]
        return endpoint

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Delete an endpoint; what waits for it is cancelled."""
        self._send("DELETE", f"/v1/endpoints/{part(endpoint_id)}")

    def pause_endpoint(self, endpoint_id: str, *, discard: bool = False) -> EndpointSwitched:
        """Hold what is for an endpoint; with `discard`, cancel what waits for it now."""
        return self._switch(endpoint_id, "pause", discard=discard)

    def resume_endpoint(self, endpoint_id: str, *, discard: bool = False) -> EndpointSwitched:
        """Send what was held for an endpoint; with `discard`, cancel it instead."""
        return self._switch(endpoint_id, "resume", discard=discard)

    def verify_endpoint(self, endpoint_id: str) -> Endpoint:
        """Have an endpoint's receiver answer a challenge; 409 when it does not."""
        path = f"/v1/endpoints/{part(endpoint_id)}/verify"
        endpoint: Endpoint = self._send("POST", path, extra_wait=11.0)
        return endpoint

    def test_endpoint(
        self, endpoint_id: str, *, type: str | None = None, data: Any = None, wait: float = 0.0
    ) -> SentTest:
        """Send a test event to one endpoint.

        Args:
            endpoint_id: `ep_…`.
            type: an event type; `endpoint.test` when not given.
            data: any JSON value, or a `Json`; a small object when not given.
            wait: seconds, up to 15, to wait for the first attempt.
        """
        fields = {name: value for name, value in (("type", type), ("data", data)) if value is not None}
        path = f"/v1/endpoints/{part(endpoint_id)}/test"
        sent: SentTest = self._send("POST", path, fields, query={"wait": wait}, extra_wait=wait)
        return sent

    def endpoint_statistics(self, endpoint_id: str, *, period: str = "24h") -> EndpointStatistics:
        """How an endpoint did in the last `1h`, `24h`, `7d` or `30d`, and what holds its deliveries back."""
        path = f"/v1/endpoints/{part(endpoint_id)}/statistics"
        statistics: EndpointStatistics = self._get(path, period=period)
        return statistics

    def rotate_endpoint_secret(self, endpoint_id: str, **fields: Any) -> EndpointSecret:
        """Give an endpoint a new signing secret, or `secret`; the old one signs too for `overlap_seconds`."""
        path = f"/v1/endpoints/{part(endpoint_id)}/secret/rotate"
        endpoint: EndpointSecret = self._send("POST", path, fields)
        return endpoint

    def rotate_endpoint_key(self, endpoint_id: str, **fields: Any) -> Endpoint:
        """Give an endpoint a new ed25519 key; the old one signs too for `overlap_seconds`."""
        endpoint: Endpoint = self._send("POST", f"/v1/endpoints/{part(endpoint_id)}/key/rotate", fields)
        return endpoint

    def import_endpoints(
        self, endpoints: Sequence[Mapping[str, Any]], *, partial: bool = False, dry_run: bool = False
    ) -> ImportReport:
        """Make up to 1,000 endpoints: all or none, unless `partial`; `dry_run` only judges them."""
        body = {"endpoints": list(endpoints), "partial": partial, "dry_run": dry_run}
        report: ImportReport = self._send("POST", "/v1/endpoints/import", body, extra_wait=120.0)
        return report

    def _switch(self, endpoint_id: str, action: str, *, discard: bool) -> EndpointSwitched:
        path = f"/v1/endpoints/{part(endpoint_id)}/{action}"
        body = {"backlog": "discard" if discard else "send"}
        endpoint: EndpointSwitched = self._send("POST", path, body, extra_wait=30.0)
        return endpoint
