"""The authorization-code flow as a person goes through it: a real browser, a provider that we did not write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.integrations.grants.test_api import SECRET, Api
from tests.integration.integrations.grants.test_api import hub as hub  # noqa: PLC0414 - a fixture
from tests.support.chromium import Page, browsing
from tests.support.oidc import Oidc


@pytest.fixture
def page() -> Iterator[Page]:
    with browsing() as opened:
        yield opened


def test_a_person_connects_an_integration_and_goes_back_to_where_they_came_from(
    hub: Api, oidc: Oidc, page: Page
) -> None:
    holder = hub.world.holder(oidc.settings(), client_secret=SECRET)
    there = f"{hub.url}/oauth/callback?seen=1"
    started = hub.call("POST", hub.path(holder, "authorize"), json={"return_url": there}).json()
    page.open(started["url"])
    page.see("Sign-in")
    page.type("input[name=login]", "ada")
    page.type("input[name=password]", "any")
    page.click("button[type=submit]")
    page.see("Authorize")
    page.click("button[type=submit]")
    page.see(f"{holder.id.hex} is connected")
    # The page is styled although it may load nothing: its own policy allows what it needs.
    assert page.evaluate("getComputedStyle(document.body).fontFamily") != page.evaluate(
        "getComputedStyle(document.createElement('p')).fontFamily"
    )
    assert hub.call("GET", hub.path(holder, "grant")).json()["state"] == "active"
    used = page.url
    page.click("a[href]")
    page.see("used already")
    assert page.url == there
    page.open(used)
    page.see("used already")
    assert hub.call("GET", hub.path(holder, "grant")).json()["state"] == "active"


def test_a_person_who_says_no_reads_why_nothing_was_connected(hub: Api, oidc: Oidc, page: Page) -> None:
    holder = hub.world.holder(oidc.settings(), client_secret=SECRET)
    started = hub.call("POST", hub.path(holder, "authorize")).json()
    page.open(started["url"])
    page.see("Sign-in")
    page.click("a[href*=abort]")
    page.see("Not connected")
    page.see("The provider says: access_denied")
    assert page.url.startswith(f"{hub.url}/oauth/callback")
    assert hub.call("GET", hub.path(holder, "grant")).json()["state"] != "active"
