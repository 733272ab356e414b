"""The things that commands are told about: how their ids look, where they are found, which go by a name too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from hub.core.errors import Invalid, NotFound
from hub.core.ids import Kind, parse_id

if TYPE_CHECKING:
    from hub.client.http import HttpClient


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of thing.

    Args:
        one: what it is called, with its article.
        kind: of its id.
        listed_by: the command that shows those there are.
    """

    one: str
    kind: Kind
    listed_by: str | None = None

    def has(self, text: str) -> bool:
        """Whether a text is an id of this kind."""
        try:
            parse_id(self.kind, text)
        except Invalid:
            return False
        return True

    def read(self, _ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        """A click callback: an id of this kind, refused before the hub is asked.

        Raises:
            click.BadParameter: it is none.
        """
        if value is not None and not self.has(value):
            raise click.BadParameter(f"{value!r} is not the id of {self.one} {self.where}")
        return value

    @property
    def where(self) -> str:
        """How its ids look, and where they are found."""
        listed = f"; `{self.listed_by}` shows them" if self.listed_by else ""
        return f"({self.kind.value}_ and 32 hex digits){listed}."


INTEGRATION = Noun("an integration", Kind.INTEGRATION, "hub integrations list")
ENDPOINT = Noun("an endpoint", Kind.ENDPOINT, "hub endpoints list")
SOURCE = Noun("a source", Kind.SOURCE, "hub sources list")
EVENT = Noun("an event", Kind.MESSAGE)
DELIVERY = Noun("a delivery", Kind.DELIVERY, "hub deliveries list")
EXECUTION = Noun("an execution", Kind.EXECUTION, "hub executions list")
BATCH = Noun("a batch", Kind.BATCH)
SCHEDULE = Noun("a schedule", Kind.SCHEDULE, "hub schedules list")
FLOW = Noun("a flow", Kind.FLOW, "hub flows list")
REPLAY = Noun("a replay", Kind.REPLAY, "hub replay list")
REQUEST = Noun("a source's request", Kind.RECEIPT, "hub sources requests SOURCE")
API_KEY = Noun("an API key", Kind.API_KEY, "hub api-keys list")
_NAMED: dict[Noun, Literal["integrations", "endpoints", "sources", "schedules", "flows"]] = {
    INTEGRATION: "integrations",
    ENDPOINT: "endpoints",
    SOURCE: "sources",
    SCHEDULE: "schedules",
    FLOW: "flows",
}


def find(hub: HttpClient, noun: Noun, given: str) -> str:
    """The id of what is meant.

    Args:
        hub: where it is looked for, when a name is given.
        noun: `INTEGRATION`, `ENDPOINT`, `SOURCE`, `SCHEDULE` or `FLOW`.
        given: its id or its name.

    Raises:
        NotFound: nothing has this name, and an id it is not.
    """
    if noun.has(given):
        return given
    for one in hub.iterate(_NAMED[noun]):
        if one["name"] == given:
            return str(one["id"])
    raise NotFound(f"{given!r} is neither the name nor the id of {noun.one} {noun.where}")
