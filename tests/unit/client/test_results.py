"""The client names the answers of the API by itself, so that it loads nothing of the hub; here both are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import pytest
from pydantic import BaseModel

from hub.api import schemas as access
from hub.client import results
from hub.client.results import events
from hub.flows import schemas as flows
from hub.integrations.executions import schemas as executions
from hub.integrations.grants import schemas as grants
from hub.integrations.registry import apply_api, kinds_api
from hub.integrations.registry import schemas as integrations
from hub.monitoring import schemas as monitoring
from hub.sources import schemas as sources
from hub.web.paging import Page
from hub.webhooks import schemas as webhooks
from hub.webhooks.catalogue import schemas as catalogue
from hub.webhooks.replay import schemas as replays

ANSWERS: list[tuple[type, type[BaseModel]]] = [
    (results.Accepted, executions.Accepted),
    (results.AcceptedBatch, executions.AcceptedBatch),
    (results.AlertState, monitoring.AlertState),
    (results.Applied, apply_api.Applied),
    (results.AppliedAll, apply_api.AppliedAll),
    (results.Authorization, grants.Authorization),
    (results.Batch, executions.Batch),
    (results.Change, integrations.Change),
    (results.Delivery, webhooks.Delivery),
    (results.DeliveryDetail, webhooks.DeliveryDetail),
    (results.DeliveryAttempt, webhooks.Attempt),
    (results.Attempt, executions.Attempt),
    (results.AuditEntry, access.AuditEntry),
    (results.Difference, integrations.Difference),
    (results.Disconnected, grants.Disconnected),
    (results.DryRun, webhooks.DryRun),
    (results.DryRunResult, webhooks.DryRunResult),
    (results.Event, webhooks.Event),
    (results.EventDetail, webhooks.EventDetail),
    (results.EventInput, webhooks.PublishEvent),
    (results.EventType, catalogue.EventType),
    (results.EventTypeDetail, catalogue.EventTypeDetail),
    (results.EventTypeImport, catalogue.ImportReport),
    (results.EventTypeSettings, catalogue.Settings),
    (results.Execution, executions.Execution),
    (results.ExecutionDetail, executions.ExecutionDetail),
    (results.ExecutionDryRun, executions.DryRun),
    (results.ExecutionInput, executions.ExecuteIn),
    (results.Flow, flows.Flow),
    (results.FlowTest, flows.FlowTest),
    (results.Grant, grants.GrantView),
    (results.Integration, integrations.Integration),
    (results.IntegrationKinds, kinds_api.Kinds),
    (results.IntegrationTest, executions.TestOutcome),
    (results.IntegrationUsage, executions.Usage),
    (results.IntegrationVersion, integrations.IntegrationVersion),
    (results.IntegrationVersionDetail, integrations.IntegrationVersionDetail),
    (results.Link, executions.LinkView),
    (results.Page, Page),
    (results.Polled, grants.Polled),
    (results.PreparedRequest, executions.RequestView),
    (results.ReceiptField, webhooks.ReceiptField),
    (results.Replay, replays.Replay),
    (results.ReplayDetail, replays.ReplayDetail),
    (results.ReplayDryRun, replays.DryRun),
    (results.Resent, replays.EventResent),
    (results.Schedule, executions.Schedule),
    (results.SchemaVersion, catalogue.Version),
    (results.SchemaVersionDetail, catalogue.VersionDetail),
    (results.Source, sources.Source),
    (results.SourceRequest, sources.InboundRequest),
    (results.SourceRequestDetail, sources.InboundRequestDetail),
    (results.TransportKind, kinds_api.TransportKind),
    (results.UsageOfPeriod, executions.UsageOfPeriod),
    (results.Verdict, catalogue.Verdict),
]
#: What the client's modules import for the type checker only.
NAMES = {"Sequence": Sequence, "Mapping": Mapping, "datetime": datetime, "Attempt": events.Attempt}


def kinds(hint: Any) -> frozenset[Any]:
    """What JSON a hint allows: the kinds of values, and of texts the words where they are named."""
    return frozenset(_kinds(hint))


def _kinds(hint: Any) -> Iterator[Any]:
    origin = get_origin(hint)
    if origin in {Union, UnionType, NotRequired, Required}:
        for one in get_args(hint):
            yield from _kinds(one)
    elif origin is Literal:
        yield from get_args(hint)
    elif hint is NoneType:
        yield None
    elif hint in {str, date, datetime}:
        yield str
    elif hint in {bool, int, float}:
        yield hint
    elif origin in {list, Sequence}:
        yield list
    elif (
        origin in {dict, Mapping}
        or is_typeddict(hint)
        or (isinstance(hint, type) and issubclass(hint, BaseModel))
    ):
        yield dict
    else:
        yield Any


def plain(found: frozenset[Any]) -> frozenset[Any]:
    """The kinds without the words."""
    return frozenset(str if isinstance(one, str) else one for one in found)


def shape(answer: type) -> dict[str, frozenset[Any]]:
    if issubclass(answer, BaseModel):
        return {
            field.serialization_alias or name: kinds(field.annotation)
            for name, field in answer.model_fields.items()
        }
    return {name: kinds(hint) for name, hint in get_type_hints(answer, localns=NAMES).items()}


@pytest.mark.parametrize(
    ("known", "sent"),
    [pytest.param(*pair, id=f"{pair[1].__module__}.{pair[1].__name__}") for pair in ANSWERS],
)
def test_the_client_knows_every_field_of_an_answer(known: type, sent: type[BaseModel]) -> None:
    ours, theirs = shape(known), shape(sent)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if str in ours[name] | theirs[name]:  # one of them does not name the words
            assert plain(ours[name]) == plain(theirs[name]), name
        else:
            assert ours[name] == theirs[name], name


def test_a_receipt_is_one_of_two() -> None:
    known = get_type_hints(results.Receipt) | get_type_hints(results.InvalidReceipt)
    assert known.keys() == shape(webhooks.Receipt).keys()
