from __future__ import annotations

from typing import Any

import pytest

from hub.integrations.grants.grant import Grant
from tests.unit.integrations.grants.holders import holder

PERSON: dict[str, Any] = {"grant": "authorization_code", "authorize_url": "https://auth.example/authorize"}


@pytest.mark.parametrize(
    "change",
    [
        {"token_url": "https://evil.example/token"},
        {"authorize_url": "https://evil.example/authorize"},
        {"revocation_url": "https://evil.example/revoke"},
        {"client_id": "another"},
        {"base_url": "https://evil.example"},
        {"base_url": "http://api.example"},
        {"base_url": "https://api.example:8443"},
        {"elsewhere": "<definitions/>"},
    ],
    ids=str,
)
def test_a_persons_grant_does_not_go_where_it_was_not_given_for(change: dict[str, Any]) -> None:
    assert holder(**{**PERSON, **change}).basis != holder(**PERSON).basis


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["more"]},
        {"placement": {"name": "X-Token"}},
        {"base_url": "https://API.example/v2"},
        {"secrets": {"client_secret": "new"}},
    ],
    ids=str,
)
def test_a_persons_grant_outlives_other_changes(change: dict[str, Any]) -> None:
    before = holder(**PERSON, secrets={"client_secret": "old"})
    after = holder(**{**PERSON, "secrets": {"client_secret": "old"}, **change})
    assert after.basis == before.basis


def test_what_the_hub_gets_by_itself_is_got_anew_after_every_change() -> None:
    found = {
        holder(secrets={"client_secret": "a"}).basis,
        holder(secrets={"client_secret": "b"}).basis,
        holder(secrets={"client_secret": "a"}, scopes=["x"]).basis,
        holder(secrets={"client_secret": "a"}, base_url="https://b.example").basis,
    }
    assert len(found) == 4


def test_a_new_given_refresh_token_is_another_grant() -> None:
    first = holder(grant="refresh_token", secrets={"refresh_token": "first"})
    second = holder(grant="refresh_token", secrets={"refresh_token": "second"})
    assert first.basis != second.basis


def test_fingerprints_hold_no_digest_of_a_secret() -> None:
    one = holder(secrets={"client_secret": "short"})
    same_id = holder(secrets={"client_secret": "short" + " " * 11})
    assert one.secrets != same_id.secrets
    assert one.secret_ids == same_id.secret_ids
    assert one.asked == same_id.asked


def test_a_grant_is_not_used_in_its_last_seconds() -> None:
    class Row:
        state, version, fence, basis = "active", 1, 1, ""
        access_secret_id = refresh_secret_id = None
        life, life_left, refresh_in = 3600.0, 9.0, -700.0
        lease_left = rest_left = intent_at = rejected_version = refused_with = last_error = None
        failures, scopes, metadata = 0, (), None

    assert Grant.of(Row).serves_for < 0  # type: ignore[arg-type]
    Row.life, Row.life_left = 20.0, 9.0
    assert Grant.of(Row).serves_for == 7.0  # type: ignore[arg-type]
