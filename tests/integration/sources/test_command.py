"""`hub sources …` against a served API."""

from __future__ import annotations

import requests

from tests.integration.cli.conftest import Hub, api, hub
from tests.integration.client.served import Served, served
from tests.integration.sources.provider import SECRET, github

__all__ = ["api", "hub", "served"]


def make_source(api: Served) -> dict[str, str]:
    body = {"name": "code", "verifier": {"profile": "github"}, "secrets": [SECRET]}
    headers = {"Authorization": f"Bearer {api.key}"}
    answer = requests.post(f"{api.url}/v1/sources", json=body, headers=headers, timeout=10)
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def test_sources_and_what_came_to_them_are_listed_and_shown(hub: Hub, api: Served) -> None:
    source = make_source(api)
    requests.post(source["url"], data=b"{}", headers=github(b"{}"), timeout=10)
    requests.post(source["url"], data=b"{}", timeout=10)
    listed = hub("sources", "list")
    assert listed.code == 0
    assert all(text in listed.out for text in (source["id"], "code", "github", source["url"]))
    assert hub("sources", "list", "--json").json["data"] == [source]
    shown = hub("sources", "show", source["id"])
    assert "{name}.{provider_type}" in shown.out
    assert SECRET not in shown.out
    assert hub("sources", "show", source["id"], "--json").json == source

    table = hub("sources", "requests", source["id"])
    assert all(text in table.out for text in ("accepted", "rejected", "missing_header", "push"))
    (refused,) = hub("sources", "requests", source["id"], "--outcome", "rejected", "--json").json["data"]
    detail = hub("sources", "requests", source["id"], refused["id"])
    assert "x-hub-signature-256" in detail.out
    assert hub("sources", "requests", source["id"], refused["id"], "--json").json["body"] == "{}"


def test_what_is_not_there_is_a_sentence(hub: Hub, api: Served) -> None:
    for arguments in (("show", "src_1"), ("requests", "src_1"), ("show", "../x"), ("show", "")):
        ended = hub("sources", *arguments)
        assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err


def test_without_a_key_nothing_is_asked(hub: Hub) -> None:
    ended = hub("sources", "list")
    assert (ended.code, ended.err.startswith("hub: HUB_API_KEY is not set")) == (78, True)
