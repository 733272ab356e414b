from __future__ import annotations

import pytest
from pydantic import SecretStr

from hub.cli.config import describe, redact
from hub.core.settings import Settings, load_settings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:canary@db.example.com:5432/hub", "postgresql://db.example.com:5432/hub"),
        ("redis://:canary@cache/0", "redis://cache/0"),
        ("redis://cache:6379", "redis://cache:6379"),
        ("unix:///run/valkey.sock?db=3", "unix:///run/valkey.sock"),
        ("postgresql://hub@/hub?host=/run/x&port=5432", "postgresql:///hub"),
        ("postgresql://db/hub?password=canary", "postgresql://db/hub"),
        # What does not parse without doubt is hidden altogether.
        ("postgresql://user:can/ary@db/hub", "***"),
        ("postgresql://user:can?ary@db/hub", "***"),
        ("postgresql://user:can#ary@db/hub", "***"),
        ("postgresql://user:can@ary@db/hub", "***"),
        ("postgresql://db/hub?password=c@nary", "***"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert redact("database_url", SecretStr(url)) == shown


def test_other_secrets_only_say_that_they_are_set() -> None:
    assert redact("master_keys", SecretStr("redis://looks/like/a-url")) == "***"
    assert redact("master_keys", None) is None


def test_every_setting_is_described_with_its_source() -> None:
    environ = {"HUB_API_PORT": "9000", "HUB_EGRESS_PORTS": "80,443", "HUB_FLOWER_PASSWORD": "canary"}
    rows = {
        row["name"]: row for row in describe(load_settings(environ), environ | {"HUB_MASTER_KEYS_FILE": "/x"})
    }
    assert set(rows) == {f"HUB_{name.upper()}" for name in Settings.model_fields}
    assert (rows["HUB_API_PORT"]["value"], rows["HUB_API_PORT"]["source"]) == (9000, "env")
    assert rows["HUB_EGRESS_PORTS"]["value"] == [80, 443]
    assert rows["HUB_MASTER_KEYS"]["source"] == "file"
    assert rows["HUB_LOG_LEVEL"] == {
        "name": "HUB_LOG_LEVEL",
        "value": "INFO",
        "source": "default",
        "description": "The least severe lines that are logged.",
    }
    assert "canary" not in str(rows)


def test_every_setting_says_what_it_is() -> None:
    assert [row["name"] for row in describe(load_settings({}), {}) if not row["description"]] == []
