"""Providers that call a hub: sources, and requests signed as GitHub and Stripe sign theirs."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

import requests
from requests import Response
from sqlalchemy import text

from tests.integration.api.conftest import RunningHub

SECRET = "github-canary-secret"


def github(
    body: bytes, *, secret: str = SECRET, event: str = "push", delivery: str = "d-1"
) -> dict[str, str]:
    """The headers that GitHub sends with a body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-Hub-Signature-256": f"sha256={digest}",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "Content-Type": "application/json",
    }


def stripe(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers that Stripe sends with a body."""
    written = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{written}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={written},v1={digest}", "Content-Type": "application/json"}


@dataclass
class Sources:
    """What a test does with the sources of a hub."""

    hub: RunningHub

    def create(self, name: str = "code", *, key: str = "", **fields: Any) -> dict[str, Any]:
        body = {"name": name, "verifier": {"profile": "github"}, "secrets": [SECRET], **fields}
        answer = self.hub.call("POST", "/v1/sources", json=body, key=key)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def change(self, source: dict[str, Any], **fields: Any) -> dict[str, Any]:
        answer = self.hub.call("PATCH", f"/v1/sources/{source['id']}", json=fields)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def send(
        self, source: dict[str, Any], body: bytes, headers: dict[str, str] | None = None, *, method: str = "POST",
        query: str = "",
    ) -> Response:  # fmt: skip
        given = github(body) if headers is None else headers
        return requests.request(method, source["url"] + query, data=body, headers=given, timeout=10)

    def requests(self, source: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        """Newest first."""
        answer = self.hub.call("GET", f"/v1/sources/{source['id']}/requests", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def request(self, source: dict[str, Any], request_id: str) -> dict[str, Any]:
        answer = self.hub.call("GET", f"/v1/sources/{source['id']}/requests/{request_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def replay(self, source: dict[str, Any], request_id: str) -> Response:
        return self.hub.call("POST", f"/v1/sources/{source['id']}/requests/{request_id}/replay")

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.hub.services.engine.begin() as conn:
            result = conn.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def events(self, columns: str = "type, data") -> list[tuple[Any, ...]]:
        """Oldest first."""
        return self.sql(f"SELECT {columns} FROM hub.message ORDER BY id")


def event_body(event_id: str = "evt_1", kind: str = "invoice.paid") -> bytes:
    """An event of Stripe."""
    return json.dumps({"id": event_id, "object": "event", "type": kind, "data": {"n": 1}}).encode()
