from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from hub.cli.keys import keys
from hub.core.errors import ConfigError, Conflict
from hub.core.ids import Kind, format_id, new_uuid
from hub.core.secret import Secret
from hub.core.settings import get_settings
from hub.db.engine import forget_engine
from hub.vault.keyring import generate_key, parse_keys
from hub.vault.vault import NewSecret, Vault

OLD, NEW = generate_key(os.urandom), generate_key(os.urandom)
OLD_ID, NEW_ID = parse_keys(OLD).primary.id, parse_keys(NEW).primary.id
TENANT = new_uuid()

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run `hub keys …` under a ring, as a new process would."""

    def invoke(ring: str, *arguments: str) -> Result:
        monkeypatch.setenv("HUB_DATABASE_URL", database_url)
        monkeypatch.setenv("HUB_MASTER_KEYS", ring)
        get_settings.cache_clear()
        forget_engine(close=True)
        return CliRunner().invoke(keys, arguments)

    yield invoke
    get_settings.cache_clear()
    forget_engine(close=True)


def fill(engine: Engine, count: int) -> list[UUID]:
    vault = Vault(parse_keys(OLD))
    with engine.begin() as conn:
        vault.check(conn)
        return vault.put_many(
            conn, [NewSecret(TENANT, "endpoint", "key", Secret(f"value {n}")) for n in range(count)]
        )


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_a_generated_key_is_accepted_and_new_each_time(run: Run) -> None:
    made = [run("", "generate").stdout.strip() for _ in range(2)]
    assert made[0] != made[1]
    parse_keys(",".join(made))
    as_json = answer(run("", "generate", "--json"))
    assert parse_keys(as_json["key"]).primary.id == as_json["kek_id"]


def test_check_counts_secrets_by_key_and_changes_nothing(run: Run, engine: Engine) -> None:
    fill(engine, 3)
    shown = answer(run(f"{NEW},{OLD}", "check", "--json"))
    assert shown == {
        "primary": NEW_ID,
        "keys": [
            {"kek_id": NEW_ID, "role": "primary", "secrets": 0, "also_readable": 0},
            {"kek_id": OLD_ID, "role": "old", "secrets": 3, "also_readable": 0},
        ],
    }
    with engine.connect() as conn:
        assert list(conn.scalars(text("SELECT kek_id FROM hub.vault_canary"))) == [OLD_ID]
    assert OLD_ID in run(OLD, "check").stdout


def test_check_fails_with_the_wrong_ring(run: Run, engine: Engine) -> None:
    fill(engine, 3)
    result = run(NEW, "check")
    assert result.exit_code == 1
    assert isinstance(result.exception, ConfigError)


def test_the_way_from_one_key_to_the_next(run: Run, engine: Engine) -> None:
    fill(engine, 1203)
    early = run(f"{NEW},{OLD}", "retire")
    assert (early.exit_code, type(early.exception)) == (1, Conflict)
    rotated = answer(run(f"{NEW},{OLD}", "rotate", "--json"))
    assert (rotated["moved"], rotated["left"], rotated["primary"]) == (1203, 0, NEW_ID)
    assert "can be retired" in rotated["next"]
    assert answer(run(f"{NEW},{OLD}", "rotate", "--json"))["moved"] == 0
    shown = answer(run(f"{NEW},{OLD}", "check", "--json"))["keys"]
    assert [(key["secrets"], key["also_readable"]) for key in shown] == [(1203, 0), (0, 1203)]
    retired = answer(run(f"{NEW},{OLD}", "retire", "--json"))
    assert (retired["moved"], retired["left"]) == (1203, 0)
    assert "remove them" in retired["next"]
    assert run(NEW, "check").exit_code == 0


def test_rotate_names_a_secret_that_does_not_open_and_fails(run: Run, engine: Engine) -> None:
    bad = fill(engine, 3)[0]
    with engine.begin() as conn:
        conn.execute(text("UPDATE hub.secret SET wrapped_key = '\\x00' WHERE id = :id"), {"id": bad})
    result = run(f"{NEW},{OLD}", "rotate")
    assert result.exit_code == 1
    assert "2 secrets changed, 1 left" in result.stdout
    assert format_id(Kind.SECRET, bad) in result.stdout


def test_rotate_with_one_key_says_how_to_add_another(run: Run, engine: Engine) -> None:
    fill(engine, 1)
    result = run(OLD, "rotate")
    assert result.exit_code == 0
    assert "hub keys generate" in result.stdout


def test_no_command_prints_a_key_of_the_ring(run: Run, engine: Engine) -> None:
    fill(engine, 2)
    for arguments in (["check"], ["check", "--json"], ["rotate"], ["retire"], ["rotate", "--json"]):
        result = run(f"{NEW},{OLD}", *arguments)
        assert result.exit_code == 0
        assert NEW not in result.output
        assert OLD not in result.output
