from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.core.errors import ConfigError
from hub.core.settings import Settings, load_settings


def test_everything_has_a_default() -> None:
    settings = load_settings({})
    assert (settings.database_url, settings.redis_url, settings.celery_broker_url) == (None, None, None)
    assert (settings.api_host, settings.api_port, settings.retention_days) == ("127.0.0.1", 8400, 30)


def test_only_what_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_API_PORT", "1234")
    assert load_settings({}).api_port == 8400
    assert load_settings().api_port == 1234


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `docker run -e HUB_DATABASE_URL=` and an empty value in a chart mean."""
    monkeypatch.setenv("HUB_DATABASE_URL", "")
    assert load_settings().database_url is None


def test_lists_are_split_at_commas() -> None:
    settings = load_settings(
        {
            "HUB_EGRESS_ALLOW": "10.0.0.0/8, ::1/128,",
            "HUB_EGRESS_PORTS": "80,8443",
            "HUB_WEBHOOK_RETRY_SCHEDULE": "1, 2.5,60",
        }
    )
    assert settings.egress_allow == ("10.0.0.0/8", "::1/128")
    assert settings.egress_ports == (80, 8443)
    assert settings.webhook_retry_schedule == (1, 2.5, 60)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HUB_API_PORT", "many", "integer"),
        ("HUB_API_PORT", "70000", "65535"),
        ("HUB_LOG_LEVEL", "LOUD", "'DEBUG'"),
        ("HUB_EGRESS_ALLOW", "10.0.0.1/8", "not a CIDR"),
        ("HUB_EGRESS_PORTS", "80,http", "integer"),
        ("HUB_DATABASE_URL", "mysql://h/db", "postgresql://"),
        ("HUB_DATABASE_URL", "h/db", "postgresql://"),
        ("HUB_REDIS_URL", "http://h", "redis://"),
        ("HUB_BROKER_URL", "sqs://", "amqp://"),
        ("HUB_LEASE_SECONDS", "0", "greater than or equal to 1"),
        ("HUB_LEASE_SECONDS", "nan", ""),
        ("HUB_WEBHOOK_RETRY_SCHEDULE", "5,inf", "less than or equal to 604800"),
        ("HUB_WEBHOOK_RETRY_SCHEDULE", "5,nan", ""),
        ("HUB_WEBHOOK_RETRY_SCHEDULE", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_variable(name: str, value: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({name: value})
    assert [fault.path for fault in caught.value.fields] == [name]
    assert says in caught.value.detail


@pytest.mark.parametrize(
    "value",
    [
        "mysql://u:canary91@h",
        "postgres:/u:canary91@h",
        "postgresql://u:canary91@[::1",
        "x://u:canary91@ho℀st/",
    ],
)
@pytest.mark.parametrize("name", ["HUB_DATABASE_URL", "HUB_REDIS_URL", "HUB_BROKER_URL"])
def test_a_refused_value_is_never_repeated(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({name: value})
    assert "canary91" not in f"{caught.value.detail} {caught.value.fields} {caught.value!r}"


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"HUB_API_PORT": "x", "HUB_RETENTION_DAYS": "0"})
    assert {fault.path for fault in caught.value.fields} == {"HUB_API_PORT", "HUB_RETENTION_DAYS"}


@pytest.mark.parametrize("name", ["HUB_APIPORT", "HUB_DATABASE", "HUB_SECRET_FILE_", "HUB_"])
def test_a_misspelt_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"Unknown setting {name}"):
        load_settings({name: "x"})


def test_names_of_clients_and_embedded_servers_are_known() -> None:
    load_settings(
        {"HUB_PG_BIN": "/x", "HUB_REDIS_BIN": "/x", "HUB_API_KEY": "k", "HUB_URL": "u", "HUB_TENANT": "t"}
    )


@pytest.mark.parametrize(
    "link",
    [
        {"HUB_SERVICE_HOST": "10.0.0.1", "HUB_SERVICE_PORT": "80", "HUB_SERVICE_PORT_HTTP": "80"},
        {
            "HUB_PORT": "tcp://10.0.0.1:80",
            "HUB_PORT_80_TCP": "tcp://10.0.0.1:80",
            "HUB_PORT_80_TCP_ADDR": "10.0.0.1",
        },
        {
            "HUB_PORT_80_TCP_PORT": "80",
            "HUB_PORT_80_TCP_PROTO": "tcp",
            "HUB_PORT_53_UDP": "udp://10.0.0.1:53",
        },
        {"HUB_POSTGRES_SERVICE_HOST": "10.0.0.2", "HUB_POSTGRES_PORT": "tcp://10.0.0.2:5432"},
        {"HUB_POSTGRES_PORT_5432_TCP_ADDR": "10.0.0.2", "HUB_POSTGRES_SERVICE_PORT_POSTGRESQL": "5432"},
        # Services called "hub-api" and "hub-flower", whose links look like two of our settings.
        {"HUB_API_PORT": "tcp://10.0.0.3:8400", "HUB_API_PORT_8400_TCP": "tcp://10.0.0.3:8400"},
        {"HUB_FLOWER_PORT": "tcp://10.0.0.4:5555", "HUB_FLOWER_SERVICE_HOST": "10.0.0.4"},
    ],
)
def test_what_kubernetes_adds_for_services_beside_us_is_ignored(link: dict[str, str]) -> None:
    settings = load_settings(link)
    assert (settings.api_port, settings.flower_port) == (8400, 5555)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://u:p@h/db\n")
    settings = load_settings({"HUB_DATABASE_URL_FILE": str(file)})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/db"


def test_both_the_value_and_its_file_are_too_much(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://h")
    with pytest.raises(ConfigError, match="HUB_REDIS_URL and HUB_REDIS_URL_FILE are both set"):
        load_settings({"HUB_REDIS_URL": "redis://h", "HUB_REDIS_URL_FILE": str(tmp_path / "url")})


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "is not text")],
)
def test_a_file_that_gives_nothing_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    """Taken for unset, an empty mount would make the hub start a database of its own."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load_settings({"HUB_MASTER_KEYS_FILE": str(file)})
    assert "HUB_MASTER_KEYS_FILE" in caught.value.detail


def test_the_file_of_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigError, match="Unknown setting HUB_NOTHING"):
        load_settings({"HUB_NOTHING_FILE": str(tmp_path / "x")})


def test_the_heartbeat_file_is_a_setting_of_its_own(tmp_path: Path) -> None:
    """Its name ends like the file variant of a secret; it is the path itself, and need not exist."""
    assert load_settings({"HUB_HEARTBEAT_FILE": str(tmp_path / "beat")}).heartbeat_file == tmp_path / "beat"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"HUB_REDIS_URL": "redis://:pw@h:1/2"}, "redis://:pw@h:1/2"),
        ({"HUB_REDIS_URL": "redis://h", "HUB_BROKER_URL": "amqp://u:p@h//"}, "amqp://u:p@h//"),
        ({"HUB_REDIS_URL": "unix:///run/v.sock"}, "redis+socket:///run/v.sock"),
        ({"HUB_REDIS_URL": "unix:///run/v.sock?db=3"}, "redis+socket:///run/v.sock?virtual_host=3"),
        (
            {"HUB_REDIS_URL": "unix://u:p%40@/run/v.sock?db=3"},
            "redis+socket://u:p%40@/run/v.sock?virtual_host=3",
        ),
        (
            {"HUB_REDIS_URL": "unix:///run/v.sock?db=3&username=u&password=p%40/"},
            "redis+socket://u:p%40%2F@/run/v.sock?virtual_host=3",
        ),
    ],
)
def test_the_broker_is_named_as_kombu_wants_it(given: dict[str, str], expected: str) -> None:
    assert load_settings(given).celery_broker_url == expected


def test_settings_do_not_change_and_do_not_show_secrets() -> None:
    settings = load_settings(
        {"HUB_DATABASE_URL": "postgresql://u:canary91@h/db", "HUB_MASTER_KEYS": "canary91"}
    )
    assert "canary91" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    with pytest.raises(ValidationError):
        settings.api_port = 1  # type: ignore[misc]


def test_every_setting_can_be_given_in_the_environment() -> None:
    for name, field in Settings.model_fields.items():
        assert name.islower()
        assert field.alias is None
