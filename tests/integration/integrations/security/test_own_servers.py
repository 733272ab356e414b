"""The hub's own servers are called by nobody, however they are written down and whatever is spoken."""

from __future__ import annotations

import pytest

from hub.core.settings import load_settings
from hub.net.policy import AddressPolicy
from tests.support.servers import MASTER_KEY


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("postgresql://hub:x@10.0.0.5/db", [("10.0.0.5", 5432)]),
        ("postgresql+psycopg://hub@/db?host=10.0.0.5", [("10.0.0.5", 5432)]),
        ("postgresql://hub@/db?host=10.0.0.5:6000&host=10.0.0.6", [("10.0.0.5", 6000), ("10.0.0.6", 5432)]),
        (
            "postgresql://hub@/db?host=10.0.0.5,10.0.0.6&port=6000,6001",
            [("10.0.0.5", 6000), ("10.0.0.6", 6001)],
        ),
        ("postgresql://hub@name.invalid/db?hostaddr=10.0.0.5&port=6000", [("10.0.0.5", 6000)]),
        ("postgresql://hub@10.0.0.5:1,10.0.0.6:2/db", [("10.0.0.5", 1), ("10.0.0.6", 2)]),
        ("postgresql://hub@/db?host=/var/run/postgresql&port=6000", []),
    ],
)
def test_every_way_to_write_the_database_down_is_read(url: str, places: list[tuple[str, int]]) -> None:
    settings = load_settings(
        {
            "HUB_DATABASE_URL": url,
            "HUB_MASTER_KEYS": MASTER_KEY,
            "HUB_EGRESS_ALLOW": "10.0.0.0/8",
            "HUB_EGRESS_PORTS": "0",
        }
    )
    policy = AddressPolicy.from_settings(settings)
    assert policy.allows("10.0.0.5", 4444)
    assert [place for place in places if policy.allows(*place)] == []


def test_several_brokers_are_read() -> None:
    settings = load_settings(
        {
            "HUB_BROKER_URL": "amqp://hub@10.0.0.5//;amqp://hub@10.0.0.6:7000//",
            "HUB_MASTER_KEYS": MASTER_KEY,
            "HUB_EGRESS_ALLOW": "10.0.0.0/8",
            "HUB_EGRESS_PORTS": "0",
        }
    )
    policy = AddressPolicy.from_settings(settings)
    assert not policy.allows("10.0.0.5", 5672)
    assert not policy.allows("10.0.0.6", 7000)
