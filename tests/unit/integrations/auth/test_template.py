from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.integrations.auth.places import Moment
from tests.unit.integrations.auth.requests_in_hand import a_request, faults, signer, traces

AUTH: dict[str, Any] = {
    "mode": "template",
    "headers": {"X-Auth": "{{ key }}:{{ timestamp }}", "X-Once": "{{nonce}}/{{uuid}}"},
    "query": {"app id": "{{ app_id }}&"},
    "secrets": {"key": "k3y", "app_id": "a+b"},
}


def at_a_moment() -> Moment:
    return Moment(datetime(2026, 1, 2, tzinfo=UTC), "n0nce", "u-u-i-d")


def test_headers_and_parameters_are_filled_in() -> None:
    signed = signer(AUTH, moment=at_a_moment)(a_request())
    assert signed.headers["X-Auth"] == "k3y:1767312000"
    assert signed.headers["X-Once"] == "n0nce/u-u-i-d"
    assert signed.url == "https://api.example.com/things?a=1&app%20id=a%2Bb%26"


def test_a_header_of_the_request_gives_way() -> None:
    signed = signer(AUTH, moment=at_a_moment)(a_request(headers={"x-auth": "forged"}))
    assert signed.headers["X-Auth"] == "k3y:1767312000"


def test_every_secret_is_one_that_must_not_come_back() -> None:
    assert sorted(traces(AUTH)) == ["a+b", "k3y"]


def test_a_secret_may_be_kept_in_an_update() -> None:
    assert faults({**AUTH, "secrets": {"key": None, "app_id": "new"}}) == {}


@pytest.mark.parametrize(
    ("more", "path", "text"),
    [
        ({"headers": {"X-Auth": "{{ token }}"}}, "auth.headers.X-Auth", "unknown"),
        ({"headers": {"X-Auth": "{{ body }}"}}, "auth.headers.X-Auth", "unknown"),
        ({"headers": {"X-Auth": "{{ key"}}, "auth.headers.X-Auth", "no place"),
        ({"headers": {"X-Auth": "{{ key }}\r\nX: y"}}, "auth.headers.X-Auth", "printable"),
        ({"headers": {"Host": "{{ key }}"}}, "auth.headers.Host", "the hub alone"),
        ({"headers": {"X Auth": "{{ key }}"}}, "auth.headers.X Auth", "no name"),
        ({"headers": {"X-A": "{{ key }}", "x-a": "1"}}, "auth.headers.x-a", "twice"),
        ({"query": {"a": "{{ nothing }}"}}, "auth.query.a", "unknown"),
        ({"headers": {}, "query": {}}, "auth.headers", "must name"),
        ({"secrets": {"key": "k", "app_id": "a", "other": "o"}}, "auth.secrets.other", "no template uses it"),
        ({"secrets": {"key": "k", "app_id": "a", "nonce": "o"}}, "auth.secrets.nonce", "choose another"),
        ({"secrets": {"Key": "k"}}, "auth.secrets.Key", "match pattern"),
        ({"timestamp_format": "%s"}, "auth.timestamp_format", "should be"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], path: str, text: str) -> None:
    assert text in faults({**AUTH, **more})[path]


def test_all_faults_are_told_at_once() -> None:
    found = faults(
        {"mode": "template", "headers": {"Host": "{{ a }}"}, "query": {"q": "{{ b }}"}, "secrets": {"c": "x"}}
    )
    assert set(found) == {"auth.headers.Host", "auth.query.q", "auth.secrets.c"}
