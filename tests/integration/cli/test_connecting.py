"""`hub integrations connect`, `disconnect`, `grant`, `alerts`: against a served API and a provider."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest
import requests
from sqlalchemy import Engine, text

from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served
from tests.integration.integrations.conftest import provider
from tests.integration.integrations.provider import Answer, Provider

__all__ = ["provider"]

TOKENS = Answer(
    body=b'{"access_token":"canary-access","refresh_token":"canary-refresh","token_type":"Bearer","expires_in":3600}'
)
CODE = Answer(
    body=b'{"device_code":"canary-device","user_code":"AB-CD","verification_uri":"https://e.example/d",'
    b'"verification_uri_complete":"https://e.example/d?c=AB-CD","interval":1}'
)
REFUSED = Answer(400, b'{"error":"access_denied","error_description":"not today"}')


def integrate(api: Served, provider: Provider, **auth: Any) -> str:
    settings = {
        "mode": "oauth2",
        "grant": "authorization_code",
        "token_url": f"{provider.url}/token",
        "authorize_url": f"{provider.url}/authorize",
        "client_id": "hub",
        "client_secret": "canary-client",
        **auth,
    }
    return api.client.create_integration(name="crm", type="oauth", base_url=provider.url, auth=settings)["id"]


def device(api: Served, provider: Provider) -> str:
    return integrate(
        api,
        provider,
        grant="device",
        device_url=f"{provider.url}/device",
        authorize_url=None,
        client_auth="none",
        client_secret=None,
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened in a browser."""
    found: list[str] = []

    def launch(url: str) -> int:
        found.append(url)
        return 0

    monkeypatch.setattr(click, "launch", launch)
    return found


def coming_back(monkeypatch: pytest.MonkeyPatch, api: Served, **answer: str) -> None:
    """A person whose browser goes to the provider and comes back at once."""

    def launch(url: str) -> int:
        query = parse_qs(urlsplit(url).query)
        back = {"state": query["state"][0], **answer}
        requests.get(f"{api.url}/oauth/callback", params=back, timeout=10)
        return 0

    monkeypatch.setattr(click, "launch", launch)


def test_the_address_for_the_person_is_printed_and_nothing_is_opened(
    hub: Hub, api: Served, provider: Provider, opened: list[str]
) -> None:
    key = integrate(api, provider)
    begun = hub("integrations", "connect", "crm")
    assert begun.code == 0
    assert begun.out.startswith(f"{provider.url}/authorize?")
    assert begun.out.count("\n") == 1
    assert begun.err.startswith("Open this in the person's browser, until ")
    assert hub("integrations", "connect", key, "--json").json["kind"] == "redirect"
    assert opened == []


def test_waiting_ends_when_the_person_has_come_back(
    hub: Hub, api: Served, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = integrate(api, provider)
    provider.default = lambda _call: TOKENS
    coming_back(monkeypatch, api, code="abc")
    connected = hub("integrations", "connect", "crm", "--open", "--wait", "20")
    assert (connected.code, connected.out.splitlines()[-1]) == (0, f"{key} connected")
    shown = hub("integrations", "grant", "crm")
    assert (shown.code, "active" in shown.out, "canary" in shown.out) == (0, True, False)
    # In place, and for scripts.
    again = hub("integrations", "connect", "crm", "--open", "--wait", "20", "--json")
    assert (again.json["state"], again.json["version"]) == ("active", 2)
    assert f"{provider.url}/authorize?" in again.err
    gone = hub("integrations", "disconnect", "crm")
    assert (gone.code, gone.out) == (0, f"{key} disconnected\n")
    assert gone.err.startswith("The provider may hold the grant still: ")
    assert hub("integrations", "grant", "crm", "--json").json["state"] == "none"


def test_a_person_who_says_no_ends_the_wait_with_the_providers_words(
    hub: Hub, api: Served, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    integrate(api, provider)
    coming_back(monkeypatch, api, error="access_denied", error_description="not today")
    refused = hub("integrations", "connect", "crm", "--open", "--wait", "60")
    assert refused.code == 1
    assert refused.err.endswith("hub: The provider says: access_denied: not today\n")


def test_waiting_for_nobody_ends_in_time(hub: Hub, api: Served, provider: Provider) -> None:
    integrate(api, provider)
    waited = hub("integrations", "connect", "crm", "--wait", "0")
    assert (waited.code, "Nobody has connected it within 0 s" in waited.err) == (1, True)
    # The address is there all the same.
    assert waited.out.startswith(provider.url)


def test_a_code_is_shown_and_asked_for_until_it_is_typed(
    hub: Hub, api: Served, engine: Engine, provider: Provider, opened: list[str]
) -> None:
    key = device(api, provider)
    provider.script = [CODE]
    shown = hub("integrations", "connect", "crm")
    first, second = shown.out.splitlines()
    assert first.startswith("Type the code AB-CD, until ")
    assert first.endswith(" at https://e.example/d")
    assert second == "Or open https://e.example/d?c=AB-CD"
    provider.script = [CODE, Answer(400, b'{"error":"authorization_pending"}'), TOKENS]
    connected = hub("integrations", "connect", "crm", "--wait", "20", "--open")
    assert (connected.code, connected.out.splitlines()[-1]) == (0, f"{key} connected")
    assert opened == ["https://e.example/d?c=AB-CD"]
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM hub.authorization_request")).scalar_one() == 0


def test_a_code_that_a_worker_of_the_hub_got_the_token_for_is_no_fault(
    hub: Hub, api: Served, engine: Engine, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = device(api, provider)

    def launch(_url: str) -> int:
        """While the person types, a worker asks, too, and is first."""
        with engine.begin() as conn:
            conn.execute(text("UPDATE hub.authorization_request SET next_poll_at = now()"))
        assert api.client.poll_authorization(key)["state"] == "connected"
        return 0

    monkeypatch.setattr(click, "launch", launch)
    provider.script = [CODE, TOKENS]
    connected = hub("integrations", "connect", "crm", "--open", "--wait", "20")
    assert (connected.code, connected.out.splitlines()[-1]) == (0, f"{key} connected")


@pytest.mark.parametrize("asked_by_a_worker", [False, True])
def test_a_code_that_is_refused_ends_the_wait(
    hub: Hub,
    api: Served,
    engine: Engine,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    asked_by_a_worker: bool,
) -> None:
    key = device(api, provider)

    def launch(_url: str) -> int:
        with engine.begin() as conn:
            conn.execute(text("UPDATE hub.authorization_request SET next_poll_at = now()"))
        if asked_by_a_worker:
            with pytest.raises(Exception, match="not today"):
                api.client.poll_authorization(key)
        return 0

    monkeypatch.setattr(click, "launch", launch)
    provider.script = [CODE, REFUSED]
    refused = hub("integrations", "connect", "crm", "--open", "--wait", "60")
    assert refused.code == 1
    assert "not today" in refused.err.splitlines()[-1]


def test_a_machine_without_a_browser_is_told(
    hub: Hub, api: Served, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    integrate(api, provider)
    monkeypatch.setattr(click, "launch", lambda _url: 1)
    begun = hub("integrations", "connect", "crm", "--open")
    assert (begun.code, begun.err.splitlines()[-1]) == (0, "No browser could be opened here.")


@pytest.mark.parametrize("command", ["connect", "disconnect", "grant"])
def test_what_needs_no_grant_says_so(hub: Hub, api: Served, command: str) -> None:
    api.new_integration()
    refused = hub("integrations", command, "crm")
    assert (refused.code, "needs no grant" in refused.err) == (1, True)


def test_alerts_are_shown(hub: Hub, api: Served) -> None:
    key = api.new_integration()
    api.client.update_integration(key, alerts=[{"name": "broken", "metric": "health", "at_least": 2}])
    shown = hub("integrations", "alerts", "crm")
    assert (shown.code, "broken" in shown.out) == (0, True)
    assert hub("integrations", "alerts", "crm", "--json").json == [
        {"name": "broken", "firing": False, "since": None, "value": None}
    ]
