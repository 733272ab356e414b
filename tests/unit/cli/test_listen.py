from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from hub.cli.listen import _read_since, listen
from hub.core.ids import Kind, parse_id, time_of
from hub.core.secret import Secret
from hub.webhooks.signing import decode_secret

CONTEXT = click.Context(listen)
OPTION = listen.params[0]
EVENT = "msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--types", "in voice"),
        ("--types", "invoice.*,*.paid"),
        ("--labels", "not good"),
        ("--forward", "localhost:3000"),
        ("--forward", "ftp://localhost/"),
        ("--forward", "http://localhost:99999/"),
        ("--since", "yesterday"),
        ("--since", "10"),
        ("--since", "evt_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_named_before_anything_is_opened(arguments: tuple[str, str]) -> None:
    done = CliRunner().invoke(listen, arguments)
    assert done.exit_code == 2
    assert f"'{arguments[0]}'" in done.output


def test_a_bad_secret_is_refused_without_being_shown() -> None:
    done = CliRunner().invoke(listen, ["--forward", "http://localhost:1/", "--secret", "whsec_canary"])
    assert done.exit_code == 1
    assert "24 to 64 bytes" in str(done.exception)
    assert "canary" not in done.output + str(done.exception)


def test_a_secret_can_be_made_beforehand() -> None:
    done = CliRunner().invoke(listen, ["--print-secret"])
    assert done.exit_code == 0
    assert len(decode_secret(Secret(done.output.strip()))) == 32


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("30s", timedelta(seconds=30)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("9999d", timedelta(days=9999)),
    ],
    ids=["seconds", "minutes", "hours", "days"],
)
def test_a_time_back_from_now_is_a_place_in_the_stream(text: str, back: timedelta) -> None:
    place = _read_since(CONTEXT, OPTION, text)
    assert place is not None
    at = time_of(parse_id(Kind.MESSAGE, place))
    assert abs(datetime.now(UTC) - back - at) < timedelta(seconds=5)


def test_an_event_is_a_place_in_the_stream() -> None:
    assert _read_since(CONTEXT, OPTION, EVENT) == EVENT
