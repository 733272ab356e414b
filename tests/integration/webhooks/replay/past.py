"""Deliveries that ended long ago, and replays of them that run when a test says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hub.core.ids import Kind, format_id, parse_id
from hub.webhooks.replay import jobs, store
from hub.webhooks.replay.counting import Tally
from hub.webhooks.replay.runner import Report, Runner
from hub.webhooks.replay.schemas import ReplayCreate
from tests.integration.webhooks.world import World

#: Nobody listens there, and nobody asks: what is for it ends by decree.
NOWHERE = "http://127.0.0.1:9"
FAST = 10_000.0


def message_ids(world: World, *data: str, **options: Any) -> list[UUID]:
    return [parse_id(Kind.MESSAGE, receipt.id) for receipt in world.publish(*data, **options)]


@dataclass
class Past:
    """What happened before a test."""

    world: World

    def events(
        self, count: int = 1, *, state: str = "failed", data: str = "{}", **options: Any
    ) -> list[UUID]:
        """Publish events whose deliveries have all ended so."""
        ids = message_ids(self.world, *[data] * count, **options)
        self.fan_out()
        self.world.sql(
            "UPDATE hub.delivery SET state = :state, finished_at = now(), lease_owner = NULL, lease_until = NULL"
            " WHERE state IN ('due', 'leased') AND message_id = ANY (:ids)",
            state=state,
            ids=ids,
        )
        self.world.sql("DELETE FROM hub.delivery_waiting")
        self.world.sql("DELETE FROM hub.delivery_lease")
        return ids

    def fan_out(self) -> None:
        """Messages become deliveries, and are not sent."""
        source = self.world.source()
        while source.claim(1000)[0]:
            pass

    def read(self, kind: str = "failed", **fields: Any) -> dict[str, Any]:
        """The columns of a job over the last hour."""
        endpoint = fields.pop("endpoint", None)
        if endpoint is not None:
            fields["endpoint"] = format_id(Kind.ENDPOINT, endpoint)
        now = datetime.now(UTC) + timedelta(seconds=1)
        fields = {"since": now - timedelta(hours=1), "rate": FAST} | fields
        return jobs.read(self.world.caller, ReplayCreate.model_validate({"kind": kind, **fields}), now)

    def replay(self, kind: str = "failed", **fields: Any) -> UUID:
        """Make a job."""
        values = self.read(kind, **fields)
        with self.world.engine.begin() as conn:
            row = jobs.create(conn, self.world.caller, values, oldest=values["since"])
        found: UUID = row.id
        return found

    def dry_run(self, kind: str = "failed", **fields: Any) -> Tally:
        with self.world.engine.begin() as conn:
            return jobs.try_out(conn, self.read(kind, **fields))

    def steer(self, replay_id: UUID, to: Any) -> Any:
        with self.world.engine.begin() as conn:
            return jobs.steer(conn, self.world.caller, replay_id, to)

    def runner(self, owner: str = "bert") -> Runner:
        return Runner(self.world.engine, owner=owner, sent=lambda: None)

    def run(self, runner: Runner | None = None) -> Report:
        """Make steps until no job is due soon."""
        return (runner or self.runner()).run(seconds=60, stopping=lambda: False)

    def job(self, replay_id: UUID) -> Any:
        with self.world.engine.connect() as conn:
            return store.find_replay(conn, self.world.tenant_id, replay_id)

    def due(self, endpoint_id: UUID | None = None) -> list[UUID]:
        """The events that have a due delivery, oldest first."""
        rows = self.world.sql(
            "SELECT message_id FROM hub.delivery WHERE state = 'due'"
            " AND (CAST(:endpoint AS uuid) IS NULL OR endpoint_id = :endpoint) ORDER BY id",
            endpoint=endpoint_id,
        )
        return [row[0] for row in rows]

    def age(self, ids: list[UUID], hours: int) -> list[UUID]:
        """Events, with their deliveries, as if they had come earlier."""
        moved = []
        for old in ids:
            new = UUID(int=old.int - (hours * 3_600_000 << 80))
            moved.append(new)
            high, shift = f"{old.int >> 64:016x}", f"{new.int >> 64:016x}"
            self.world.sql("UPDATE hub.message SET id = :new WHERE id = :old", new=new, old=old)
            self.world.sql(
                "UPDATE hub.delivery SET message_id = :new,"
                " id = CAST(:shift || right(replace(id::text, '-', ''), 16) AS uuid)"
                " WHERE message_id = :old AND replace(id::text, '-', '') LIKE :high || '%'",
                new=new, old=old, shift=shift, high=high,
            )  # fmt: skip
        return moved
