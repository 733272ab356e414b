"""`hub`: one command for everything. Each subcommand is a module of its own, loaded when it is called.

So `hub up --help` does not load the whole product, and a broken module breaks its own command only.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

import click

from hub.cli import local_hub
from hub.cli.failures import sentence_of, tell
from hub.core.errors import ConfigError, HubError
from hub.core.logging import configure_logging

#: Command name → (module, attribute, one line for `hub --help`).
COMMANDS = {
    "up": ("hub.cli.up", "up", "Start a whole hub on this machine."),
    "demo": ("hub.cli.demo", "demo", "Send demo traffic through a hub and check that nothing is missing."),
    "migrate": ("hub.cli.migrate", "migrate", "Bring the database schema up to date."),
    "config": ("hub.cli.config", "config", "Show the settings, secrets hidden."),
    "keys": ("hub.cli.keys", "keys", "Make, check and rotate the master keys."),
    "tenants": ("hub.cli.tenants", "tenants", "Create and list tenants."),
    "api-keys": ("hub.cli.api_keys", "api_keys", "Create, list and revoke API keys."),
    "publish": ("hub.cli.publish", "publish", "Publish an event."),
    "listen": ("hub.cli.listen", "listen", "Show events as they come; forward them to this machine."),
    "event-types": ("hub.cli.event_types", "event_types", "List, show, import and check event types."),
    "execute": ("hub.cli.execute", "execute", "Execute an operation of an integration."),
    "executions": (
        "hub.cli.executions",
        "executions",
        "List, show, cancel, repeat and record executions.",
    ),
    "curl": ("hub.cli.curl", "curl", "Print the curl command of a call, secrets masked."),
    "integrations": (
        "hub.cli.integrations",
        "integrations",
        "Look after integrations: apply files, test, connect, compare versions.",
    ),
    "schedules": ("hub.cli.schedules", "schedules", "Look after schedules of executions."),
    "flows": ("hub.cli.flows", "flows", "Look after flows: events that start operations."),
    "endpoints": (
        "hub.cli.endpoints",
        "endpoints",
        "Look after endpoints: show, pause, test, rotate, import.",
    ),
    "deliveries": ("hub.cli.deliveries", "deliveries", "List, show and resend webhook deliveries."),
    "replay": (
        "hub.cli.replay",
        "replay",
        "Send events again: what failed, what is missing, or by a filter.",
    ),
    "sources": ("hub.cli.sources", "sources", "List and show sources, and what providers sent."),
    "webhooks": ("hub.cli.webhooks", "webhooks", "Sign test requests; say why a signature fails."),
    "audit": ("hub.cli.audit", "audit", "Show who changed what, and which calls were refused."),
    "rejected": ("hub.cli.rejected", "rejected", "Show broker messages that no task understood."),
    "doctor": ("hub.cli.doctor", "doctor", "Check every part of a hub and say what to do."),
}

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = os.EX_CONFIG  # 78, as the API and the workers end

#: Commands that describe or make a hub; all others look for the one that runs here.
_WITHOUT_LOCAL_HUB = frozenset({"up", "config"})


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            # What a command needs beyond the core comes with an extra, such as integration-hub[demo].
            raise click.ClickException(
                f"`hub {cmd_name}` needs {error.name}, which is not installed."
            ) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Print the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="integration-hub", prog_name="hub")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A durable integration and webhook hub on Postgres, Celery and Redis."""
    if ctx.invoked_subcommand not in _WITHOUT_LOCAL_HUB:
        ctx.obj = local_hub.fill(os.environ)


def main() -> None:
    """Run `hub`; an expected error is one sentence on standard error and an exit code for scripts."""
    try:
        cli()
    except ConfigError as error:
        tell(error)
        sys.exit(EXIT_CONFIG)
    except HubError as error:
        tell(error)
        sys.exit(EXIT_FAILED)
    except Exception as error:  # a traceback says nothing to who typed the command
        click.echo(f"hub: {sentence_of(error)}", err=True)
        if os.environ.get("HUB_LOG_LEVEL", "").upper() == "DEBUG":
            configure_logging("DEBUG")
            logging.getLogger(__name__).exception("Where it happened:")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
