"""Holders and grants for tests of pure decisions."""

from __future__ import annotations

from math import inf
from typing import Any
from uuid import UUID

from hub.core.secret import Secret
from hub.integrations.grants.grant import Grant
from hub.integrations.grants.holder import Holder

ID = UUID(int=1)
TENANT = UUID(int=2)


def holder(
    *,
    base_url: str = "https://api.example",
    elsewhere: str | None = None,
    secrets: dict[str, str] | None = None,
    **auth: Any,
) -> Holder:
    """An integration; its secrets' ids are made of their texts."""
    given = secrets or {}
    return Holder(
        id=ID,
        tenant_id=TENANT,
        base_url=base_url,
        parameters={
            "mode": "oauth2",
            "grant": "client_credentials",
            "token_url": "https://auth.example/token",
            "client_id": "me",
            **auth,
        },
        secrets={name: Secret(text) for name, text in given.items()},
        secret_ids={name: UUID(bytes=text.encode().ljust(16)[:16]) for name, text in given.items()},
        elsewhere=elsewhere,
    )


def grant(whose: Holder, **changes: Any) -> Grant:
    """A grant with an hour to live."""
    fields: dict[str, Any] = {
        "state": "active",
        "version": 1,
        "fence": 1,
        "basis": whose.basis,
        "access_id": UUID(int=3),
        "refresh_id": UUID(int=4),
        "serves_for": 3600.0,
        "refresh_in": 2800.0,
        "lease_left": 0.0,
        "rest_left": 0.0,
        "interrupted": False,
        "rejected": False,
        "failures": 0,
        "refused_with": None,
        "last_error": None,
        "scopes": (),
        "metadata": {},
    }
    return Grant(**{**fields, **changes})


ENDED = {"serves_for": -1.0, "refresh_in": -700.0}
DUE = {"refresh_in": -1.0}
NOTHING = {
    "state": "none",
    "access_id": None,
    "refresh_id": None,
    "serves_for": inf,
    "refresh_in": inf,
    "basis": "",
}
