"""The command table: lazy, and one broken command does not take the others along."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hub.cli import main
from hub.cli.main import COMMANDS, cli
from hub.core.errors import ConfigError, Unavailable


def test_the_help_lists_every_command_in_the_order_of_the_table() -> None:
    lines = CliRunner().invoke(cli, ["--help"]).output.partition("Commands:")[2].splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert listed == list(COMMANDS)


def test_help_loads_no_part_of_the_product() -> None:
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom hub.cli.main import cli\n"
        "assert CliRunner().invoke(cli, ['up', '--help']).exit_code == 0\n"
        "print([m for m in ('sqlalchemy', 'celery', 'psycopg', 'pydantic') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_command_whose_module_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "extra", ("hub.cli.not_installed", "extra", "Not here."))
    answer = CliRunner().invoke(cli, ["extra"])
    assert answer.exit_code == 1
    assert "`hub extra` needs hub.cli.not_installed" in answer.output


#: What runs until it is stopped, and what prints lines that are input for other programs as they are.
WITHOUT_JSON = {"up", "listen", "curl", "executions record"}


def test_every_command_prints_json_but_those_whose_output_is_no_data() -> None:
    commands = {name: cli.get_command(click.Context(cli), name) for name in COMMANDS}
    options = {path: found for name, one in commands.items() for path, found in _options(name, one)}
    assert len(options) > 80
    assert {path for path, found in options.items() if "--json" not in found} == WITHOUT_JSON


def _options(path: str, command: click.Command | None) -> Iterator[tuple[str, set[str]]]:
    """Of a command, or of all commands of a group."""
    assert command is not None
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _options(f"{path} {name}", one)
    else:
        yield path, {option for parameter in command.params for option in parameter.opts}


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["fly"]).exit_code == 2


@pytest.mark.parametrize(("error", "code"), [(ConfigError("Set it."), 78), (Unavailable("Later."), 1)])
def test_an_expected_error_is_one_sentence_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "cli", fail)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == f"hub: {error}\n"
