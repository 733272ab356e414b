"""Runs the plan against a hub: sets up, sends, waits until everything has ended, and compares both sides."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.client import HubApiError, HubClientError
from hub.core.errors import ConfigError
from hub.db.states import State
from hub.demo import plan
from hub.demo.audit import Row, Tally, audit_deliveries, audit_executions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.client.http import HttpClient
    from hub.client.transport import Transport
    from hub.demo.progress import Progress
    from hub.demo.services import Services

#: A busy machine with two cores needs a quarter of this.
_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.2
_CALLERS = 4
_CHECKS = 2
_LIVE = (State.DUE, State.LEASED)


@dataclass(slots=True)
class Report:
    """What came of it.

    Args:
        seconds: from the first to the last of it.
        published: events that were accepted.
        repeated: events that were published twice and recognised.
        tallies: executions first, then the endpoints.
        disabled: endpoints that the hub disabled, with its reason.
        health: integration to its status, number of checks and average latency in milliseconds.
        problems: a sentence each; none when all is well.
    """

    seconds: float = 0.0
    published: int = 0
    repeated: int = 0
    tallies: list[Tally] = field(default_factory=list)
    disabled: dict[str, str] = field(default_factory=dict)
    health: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def totals() -> dict[str, int]:
    """What the progress shows, with how many of each there will be."""
    published = plan.events()
    names = {f"to {one.name}": len(plan.expected_ids(one, published)) for one in plan.RECEIVERS}
    return {"executions": len(plan.calls()), "events": plan.EVENTS, **names, "health checks": 2 * _CHECKS}


class Demo:
    """One run, on a tenant of its own.

    Args:
        hub: a client with the tenant's key.
        raw: the same, for routes that the client has no method for.
        services: the provider and the receivers.
        progress: shows how far it is.
    """

    def __init__(self, hub: HttpClient, raw: Transport, services: Services, progress: Progress) -> None:
        self._hub = hub
        self._raw = raw
        self._services = services
        self._progress = progress
        self._integrations: dict[str, str] = {}
        self._endpoints: dict[str, str] = {}
        self._executions: dict[str, str] = {}
        self._messages: dict[str, str] = {}
        self._report = Report()

    def run(self) -> Report:
        """Do everything.

        Raises:
            ConfigError: the hub may not call this machine.
            HubClientError: the hub refused something else, or went away.
        """
        started = time.monotonic()
        deadline = started + _DEADLINE_SECONDS
        self._set_up()
        self._execute()
        self._publish()
        if not self._everything_ended(deadline):
            self._report.problems.append(f"Not everything had ended after {_DEADLINE_SECONDS:g} s.")
        self._compare()
        self._report.seconds = time.monotonic() - started
        return self._report

    def rest(self) -> None:
        """Stop the health checks: their services will not always be there. A hub that is gone already is fine."""
        with suppress(HubClientError):
            for name in plan.HEALTH.keys() & self._integrations.keys():
                self._hub.update_integration(self._integrations[name], health_check=None)

    # -- sending -----------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        try:
            for name, fields in plan.integrations(self._services.provider_url).items():
                self._integrations[name] = self._hub.create_integration(**fields)["id"]
            for receiver in plan.RECEIVERS:
                endpoint = self._hub.create_endpoint(
                    name=receiver.name,
                    url=self._services.hook_url(receiver),
                    event_types=list(receiver.patterns),
                    retry_policy={"strategy": "schedule", "delays": list(plan.RETRY_SCHEDULE)},
                )
                self._endpoints[receiver.name] = endpoint["id"]
                self._services.tell_secret(receiver, endpoint["signing_secret"])
        except HubApiError as error:
            if any(fault.path in {"url", "base_url"} for fault in error.errors):
                raise ConfigError(
                    "This hub may not call the demo's services on this machine: start it with `hub up --demo`,"
                    " or set HUB_EGRESS_ALLOW=127.0.0.0/8 and HUB_EGRESS_PORTS=0 for it."
                ) from None
            raise

    def _execute(self) -> None:
        def execute(call: plan.Call) -> tuple[str, str]:
            accepted = self._hub.execute(
                self._integrations[call.kind.integration],
                call.kind.operation,
                {"headers": {plan.CALL_HEADER: f"{self._services.run}.{call.name}"}},
            )
            return call.name, accepted["id"]

        with ThreadPoolExecutor(_CALLERS) as callers:
            self._executions.update(callers.map(execute, plan.calls()))

    def _publish(self) -> None:
        events = plan.events()
        singles, listed = events[: plan.SINGLES], events[plan.SINGLES :]
        lists = [listed[at : at + plan.LIST_SIZE] for at in range(0, len(listed), plan.LIST_SIZE)]
        for number, batch in enumerate(lists, 1):
            receipts = self._hub.publish_many([event.as_input() for event in batch])
            self._messages.update(
                (receipt["id"], event.id) for receipt, event in zip(receipts, batch, strict=True)
            )
            self._progress.update("events", number * plan.LIST_SIZE)

        def publish(event: plan.Event) -> tuple[str, str]:
            one = event.as_input()
            return self._hub.publish(one["type"], one["data"], one["id"])["id"], event.id

        with ThreadPoolExecutor(_CALLERS) as callers:
            self._messages.update(callers.map(publish, singles))
        self._progress.update("events", len(self._messages))
        self._report.published = len(self._messages)
        # As a publisher does that got no answer the first time.
        again = self._hub.publish_many([event.as_input() for event in lists[0]])
        self._report.repeated = sum(receipt["status"] == "duplicate" for receipt in again)
        if self._report.repeated != len(lists[0]):
            self._report.problems.append("Events that were published twice were not recognised.")

    # -- waiting -----------------------------------------------------------------------------------------------

    def _everything_ended(self, deadline: float) -> bool:
        wanted = totals()
        while True:
            counts = self._counts()
            for name, count in counts.items():
                self._progress.update(name, count)
            if all(counts[name] >= wanted[name] for name in counts) and self._nothing_is_live():
                return self._health_is_known(deadline)
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)

    def _counts(self) -> dict[str, int]:
        stats = self._services.receiver_stats()
        waiting = self._get("/v1/monitoring/summary")["executions"]
        counts = {"executions": len(self._executions) - sum(waiting.values())}
        for receiver in plan.RECEIVERS:
            if not receiver.gone:
                counts[f"to {receiver.name}"] = stats[receiver.name]["accepted"]
        return counts

    def _nothing_is_live(self) -> bool:
        """Nothing is on its way to any endpoint; the rows exist since all receivers have all their events."""
        for receiver in plan.RECEIVERS:
            for state in _LIVE:
                page = self._hub.list_deliveries(
                    endpoint=self._endpoints[receiver.name], state=state.value, limit=1
                )
                if page["data"]:
                    return False
            if receiver.gone:
                self._progress.update(f"to {receiver.name}", len(plan.expected_ids(receiver, plan.events())))
        return True

    def _health_is_known(self, deadline: float) -> bool:
        while True:
            known = 0
            for name, wanted in plan.HEALTH.items():
                health = self._get(f"/v1/integrations/{self._integrations[name]}/health")
                checks = health["checks"]["5m"]
                if health["status"] == wanted:
                    known += min(_CHECKS, checks["calls"])
                self._report.health[name] = (
                    health["status"], checks["calls"], checks["average_latency_ms"] or 0.0
                )  # fmt: skip
            self._progress.update("health checks", known)
            if known == _CHECKS * len(plan.HEALTH):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)

    # -- comparing ---------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        report = self._report
        executions = audit_executions(
            plan.calls(),
            self._execution_rows(),
            self._services.seen_by_provider(),
            lambda row: _unanswered(self._hub.get_execution(row)),
        )
        report.tallies.append(executions)
        self._compare_echoes()
        published = plan.events()
        stats = self._services.receiver_stats()
        for receiver in plan.RECEIVERS:
            tally = audit_deliveries(
                receiver,
                plan.expected_ids(receiver, published),
                self._delivery_rows(receiver.name),
                self._services.seen_by(receiver),
                lambda row: _unanswered(self._hub.get_delivery(row)),
            )
            report.tallies.append(tally)
            if wrong := stats[receiver.name]["unverified"]:
                tally.problems.append(f"{receiver.name} could not verify {wrong} deliveries.")
            endpoint = self._hub.get_endpoint(self._endpoints[receiver.name])
            if endpoint["status"] != "active":
                report.disabled[receiver.name] = endpoint["status_reason"] or endpoint["status"]
            if (endpoint["status"] == "disabled") is not receiver.gone:
                tally.problems.append(f"The endpoint {receiver.name} is {endpoint['status']}.")
        for name, wanted in plan.HEALTH.items():
            if name in report.health and report.health[name][0] != wanted:
                report.problems.append(f"The integration {name} is {report.health[name][0]}, not {wanted}.")
        report.problems += [problem for tally in report.tallies for problem in tally.problems]

    def _execution_rows(self) -> Iterator[tuple[str, Row]]:
        names = {execution: name for name, execution in self._executions.items()}
        for found in self._hub.iterate("executions"):
            yield names.get(found["id"], found["id"]), _row(found)

    def _delivery_rows(self, endpoint: str) -> Iterator[tuple[str, Row]]:
        for found in self._hub.iterate("deliveries", endpoint=self._endpoints[endpoint]):
            yield self._messages.get(found["event"], found["event"]), _row(found)

    def _compare_echoes(self) -> None:
        """An answer that repeats the key shows it masked: the right key was sent, and nobody can read it."""
        tally = self._report.tallies[0]
        for call in plan.calls():
            if call.kind.expected.echo is None:
                continue
            place, name = call.kind.expected.echo
            result = self._hub.get_execution(self._executions[call.name])["result"] or {}
            data = result.get("data")
            if not isinstance(data, dict) or data.get(place, {}).get(name) != plan.MASKED:
                tally.problems.append(
                    f"{call.name}: the provider did not get the key, or its echo was not masked."
                )

    def _get(self, path: str) -> Any:
        return self._raw.request("GET", path, repeatable=True)[1]


def _row(found: Mapping[str, Any]) -> Row:
    return Row(found["id"], found["state"], found["attempts"], found["reason"], found.get("status"))


def _unanswered(detail: Mapping[str, Any]) -> int:
    return sum(attempt["status"] is None for attempt in detail["attempt_log"])
