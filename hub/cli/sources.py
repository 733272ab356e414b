"""`hub sources`: list and show sources, and what providers sent to them."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import click

from hub.cli.connection import api, api_url
from hub.cli.output import (
    as_json_option,
    cursor_option,
    limit_option,
    moment,
    show_json,
    show_more,
    show_record,
    show_table,
)
from hub.client.transport import Transport

_OUTCOMES = ("accepted", "duplicate", "handshake", "rejected")


@click.group()
def sources() -> None:
    """List and show sources, and what providers sent to them."""


@sources.command("list")
@limit_option
@cursor_option
@as_json_option
def list_(limit: int, cursor: str | None, as_json: bool) -> None:
    """List sources, newest first."""
    page = _get("/v1/sources", limit=limit, cursor=cursor)
    if as_json:
        show_json(page)
        return
    show_table(
        ("id", "name", "profile", "status", "url"),
        [
            (row["id"], row["name"], row["verifier"].get("profile"), row["status"], row["url"])
            for row in page["data"]
        ],
    )
    show_more(page)


@sources.command()
@click.argument("source_id")
@as_json_option
def show(source_id: str, as_json: bool) -> None:
    """Show a source; its secrets are never shown."""
    found = _get(f"/v1/sources/{_part(source_id)}")
    if as_json:
        show_json(found)
    else:
        show_record(found)


@sources.command()
@click.argument("source_id")
@click.argument("request_id", required=False)
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="Only those with this outcome.")
@limit_option
@cursor_option
@as_json_option
def requests(
    source_id: str, request_id: str | None, outcome: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List what a provider sent, newest first, or show one request with its headers, body and verdict."""
    path = f"/v1/sources/{_part(source_id)}/requests"
    if request_id is not None:
        found = _get(f"{path}/{_part(request_id)}")
        if as_json:
            show_json(found)
        else:
            show_record(found)
        return
    page = _get(path, outcome=outcome, limit=limit, cursor=cursor)
    if as_json:
        show_json(page)
        return
    show_table(
        ("id", "outcome", "reason", "type", "event", "bytes", "at"),
        [
            (
                row["id"], row["outcome"], row["reason"], row["provider_event_type"], row["event"], row["body_bytes"],
                moment(row["received_at"]),
            )
            for row in page["data"]
        ],
    )  # fmt: skip
    show_more(page)


def _get(path: str, **query: Any) -> Any:
    with api():  # it judges the address and the key, and makes a sentence of what goes wrong
        http = Transport(api_url(), os.environ["HUB_API_KEY"], timeout=10.0, retries=4)
        try:
            return http.request("GET", path, query=query, repeatable=True)[1]
        finally:
            http.close()


def _part(text: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(text, safe="") or "-"
