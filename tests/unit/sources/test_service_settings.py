"""The settings of the address that providers call."""

from __future__ import annotations

import pytest

from hub.core.errors import ConfigError
from hub.core.settings import load_settings


def test_the_public_address_is_read_without_its_last_slash() -> None:
    assert load_settings({}).public_url is None
    for given in (
        "https://hub.example.com",
        "https://hub.example.com/",
        "http://[::1]:8400",
        "https://h/hooks/",
    ):
        assert load_settings({"HUB_PUBLIC_URL": given}).public_url == given.rstrip("/")


@pytest.mark.parametrize(
    "given",
    [
        "hub.example.com",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h?x=1",
        "https://h#x",
        "https://h:x",
        "https://a b",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"HUB_PUBLIC_URL": given})
    assert [fault.path for fault in caught.value.fields] == ["HUB_PUBLIC_URL"]


def test_trusted_proxies_are_networks() -> None:
    assert load_settings({"HUB_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}).trusted_proxies == ("10.0.0.0/8", "::1")
    with pytest.raises(ConfigError):
        load_settings({"HUB_TRUSTED_PROXIES": "10.0.0.1/8"})
