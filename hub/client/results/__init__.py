"""What the hub answers, as typed dictionaries: the JSON of the API, nothing renamed.

A newer hub may send more keys than are named here.
"""

from hub.client.results.endpoints import (
    Endpoint,
    EndpointDetail,
    EndpointSecret,
    EndpointStatistics,
    EndpointSwitched,
    ImportReport,
    SentTest,
)
from hub.client.results.event_types import (
    EventType,
    EventTypeDetail,
    EventTypeImport,
    EventTypeSettings,
    SchemaVersion,
    SchemaVersionDetail,
    Verdict,
)
from hub.client.results.events import (
    Attempt,
    Delivery,
    DeliveryAttempt,
    DeliveryDetail,
    DryRun,
    DryRunResult,
    Event,
    EventDetail,
    EventInput,
    EventOptions,
    InvalidReceipt,
    Receipt,
    ReceiptField,
    Resent,
)
from hub.client.results.integrations import Accepted, Execution, ExecutionDetail, Integration
from hub.client.results.paging import Page
from hub.client.results.replays import Replay, ReplayDetail, ReplayDryRun, ReplayKind
from hub.client.results.sources import Source, SourceRequest, SourceRequestDetail

__all__ = [
    "Accepted",
    "Attempt",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetail",
    "DryRun",
    "DryRunResult",
    "Endpoint",
    "EndpointDetail",
    "EndpointSecret",
    "EndpointStatistics",
    "EndpointSwitched",
    "Event",
    "EventDetail",
    "EventInput",
    "EventOptions",
    "EventType",
    "EventTypeDetail",
    "EventTypeImport",
    "EventTypeSettings",
    "Execution",
    "ExecutionDetail",
    "ImportReport",
    "Integration",
    "InvalidReceipt",
    "Page",
    "Receipt",
    "ReceiptField",
    "Replay",
    "ReplayDetail",
    "ReplayDryRun",
    "ReplayKind",
    "Resent",
    "SchemaVersion",
    "SchemaVersionDetail",
    "SentTest",
    "Source",
    "SourceRequest",
    "SourceRequestDetail",
    "Verdict",
]
