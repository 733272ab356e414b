"""Group commit: many publishes share a transaction, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from hub.access.idempotency import IdempotencyKeyReused, hash_body
from hub.core.errors import HubError, Unavailable
from hub.core.ids import Kind, parse_id
from hub.db.engine import make_engine
from hub.queue.contracts import DOORBELL_IDS, TaskName
from hub.webhooks import committer as module
from hub.webhooks import publishing
from hub.webhooks.committer import Committer
from hub.webhooks.events import make_event
from hub.webhooks.publishing import Publication, Receipt
from tests.integration.webhooks.world import World


class Rings:
    """The doorbell; in what state the database was when it rang."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.rings: list[tuple[TaskName, list[str]]] = []
        self.unseen = 0

    def __call__(self, task: TaskName, ids: Sequence[str] = ()) -> None:
        self.rings.append((task, list(ids)))
        with self._engine.connect() as conn:
            keys = [parse_id(Kind.MESSAGE, one) for one in ids]
            seen = conn.scalar(text("SELECT count(*) FROM hub.message WHERE id = ANY (:ids)"), {"ids": keys})
            self.unseen += len(keys) - int(seen or 0)


class Commits:
    """Counts the transactions of an engine."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        event.listen(engine, "commit", self._one)

    def _one(self, _conn: Any) -> None:
        self.count += 1


@asynccontextmanager
async def committing(
    engine: Engine, ring: Callable[..., None] = lambda *_: None, *, window: float = 0.002
) -> AsyncIterator[Committer]:
    made = Committer(engine, ring, window_seconds=window)
    await made.start()
    yield made
    await made.stop()


def run(body: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await body

    return asyncio.run(bounded())


def publication(
    world: World, *data: str, ids: Sequence[str | None] = (), key: str | None = None, type_: str = "a.b"
) -> Publication:
    events = [make_event(type_, one, ids[n] if ids else None) for n, one in enumerate(data)]
    idempotency = None if key is None else (key, hash_body(repr((type_, data, ids)).encode()))
    return Publication(world.tenant_id, events, "http", idempotency)


def stored(world: World) -> list[str]:
    return [row[0] for row in world.sql("SELECT data FROM hub.message ORDER BY id")]


def test_many_publishes_at_once_share_few_commits(world: World) -> None:
    rings = Rings(world.engine)
    commits = Commits(world.engine)

    async def body() -> list[list[Receipt]]:
        async with committing(world.engine, rings) as committer:
            return await asyncio.gather(*[committer.publish(publication(world, str(n))) for n in range(500)])

    answers = run(body())
    assert [len(answer) for answer in answers] == [1] * 500
    assert {answer[0].status for answer in answers} == {"accepted"}
    ids = {answer[0].id for answer in answers}
    assert len(ids) == 500
    assert sorted(map(int, stored(world))) == list(range(500))
    # Each answer names its own event, not its neighbour's.
    by_id = {row[0]: row[1] for row in world.sql("SELECT id, data FROM hub.message")}
    assert [by_id[parse_id(Kind.MESSAGE, answer[0].id)] for answer in answers] == [str(n) for n in range(500)]
    assert commits.count - len(rings.rings) <= 5
    assert rings.unseen == 0
    assert all(task is TaskName.DELIVERIES_SEND and len(sent) <= DOORBELL_IDS for task, sent in rings.rings)


def test_an_answer_comes_after_the_commit_and_a_lone_publish_does_not_wait_long(world: World) -> None:
    async def body() -> None:
        async with committing(world.engine) as committer:
            await committer.publish(publication(world, "1"))
            assert stored(world) == ["1"]

    run(body())


def test_the_same_id_in_one_group_and_in_the_next_is_one_event(world: World) -> None:
    async def body() -> tuple[Any, Any]:
        async with committing(world.engine) as committer:
            first = await asyncio.gather(
                committer.publish(publication(world, "1", "1", "2", ids=["x", "x", "x"])),
                committer.publish(publication(world, "1", ids=["x"])),
                committer.publish(publication(world, "3", ids=["y"])),
            )
            later = await committer.publish(publication(world, "1", "3", "4", ids=["x", "y", "y"]))
            return first, later

    (mixed, repeated, other), later = run(body())
    assert [receipt.status for receipt in mixed] == ["accepted", "duplicate", "conflict"]
    assert [receipt.status for receipt in repeated] == ["duplicate"]
    assert mixed[0].id == mixed[1].id == repeated[0].id == later[0].id
    assert other[0].id == later[1].id
    assert [receipt.status for receipt in later] == ["duplicate", "duplicate", "conflict"]
    assert later[2].id == "y"
    assert sorted(stored(world)) == ["1", "3"]


def test_the_same_request_in_one_group_and_in_the_next_is_answered_alike(world: World) -> None:
    request = publication(world, "1", "2", key="k")
    again = publication(world, "1", "2", key="k")
    third = publication(world, "1", "2", key="k")

    async def body() -> tuple[Any, Any, Any]:
        async with committing(world.engine) as committer:
            one, other = await asyncio.gather(committer.publish(request), committer.publish(again))
            return one, other, await committer.publish(third)

    one, other, later = run(body())
    assert (
        [receipt.id for receipt in one]
        == [receipt.id for receipt in other]
        == [receipt.id for receipt in later]
    )
    assert [receipt.status for receipt in other + later] == ["duplicate"] * 4
    assert stored(world) == ["1", "2"]


def test_a_repeat_in_the_same_group_names_only_events_that_exist(world: World) -> None:
    world.publish("1", type_="a.b", ids=["x"])

    def request() -> Publication:
        return publication(world, "1", "other", "new", ids=["x", "x", None], key="k")

    async def body() -> tuple[list[Receipt], list[Receipt]]:
        async with committing(world.engine) as committer:
            return await asyncio.gather(committer.publish(request()), committer.publish(request()))

    one, other = run(body())
    assert [receipt.status for receipt in one] == ["duplicate", "conflict", "accepted"]
    assert [receipt.status for receipt in other] == ["duplicate", "conflict", "duplicate"]
    assert [receipt.id for receipt in other] == [receipt.id for receipt in one]


def test_a_key_with_another_body_is_refused_and_its_neighbours_are_not(world: World) -> None:
    async def body() -> Any:
        async with committing(world.engine) as committer:
            return await asyncio.gather(
                committer.publish(publication(world, "1", key="k")),
                committer.publish(publication(world, "2", key="k")),
                committer.publish(publication(world, "3")),
                return_exceptions=True,
            )

    one, other, neighbour = run(body())
    assert one[0].status == neighbour[0].status == "accepted"
    assert isinstance(other, IdempotencyKeyReused)
    assert sorted(stored(world)) == ["1", "3"]


def test_a_group_that_fails_answers_everybody_in_it_and_the_next_one_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = publishing.write
    failing = threading.Event()
    failing.set()

    def write(*args: Any) -> Any:
        if failing.is_set():
            raise RuntimeError("a bug")
        return real(*args)

    monkeypatch.setattr(module, "write", write)

    async def body() -> tuple[list[Any], Any]:
        async with committing(world.engine) as committer:
            faults = await asyncio.gather(
                *[committer.publish(publication(world, str(n))) for n in range(20)], return_exceptions=True
            )
            failing.clear()
            return faults, await committer.publish(publication(world, "after"))

    faults, after = run(body())
    assert [type(fault) for fault in faults] == [RuntimeError] * 20
    assert after[0].status == "accepted"
    assert stored(world) == ["after"]


def test_one_requests_bad_data_costs_its_neighbours_nothing(world: World) -> None:
    async def body() -> Any:
        async with committing(world.engine) as committer:
            return await asyncio.gather(
                committer.publish(publication(world, "1")),
                committer.publish(publication(world, '"\0"')),  # no door lets this in
                committer.publish(publication(world, "2")),
                return_exceptions=True,
            )

    one, bad, two = run(body())
    assert one[0].status == two[0].status == "accepted"
    assert isinstance(bad, HubError)
    assert bad.status == 422
    assert sorted(stored(world)) == ["1", "2"]


def test_a_hub_whose_partitions_ran_out_says_unavailable_and_does_not_blame_the_event(world: World) -> None:
    for (name,) in world.sql("SELECT relname FROM pg_class WHERE relname ~ '^message_p[0-9]{8}$'"):
        world.sql(f"DROP TABLE hub.{name}")

    async def body() -> list[Any]:
        async with committing(world.engine) as committer:
            return list(
                await asyncio.gather(
                    *[committer.publish(publication(world, str(n))) for n in range(3)], return_exceptions=True
                )
            )

    assert [type(fault) for fault in run(body())] == [Unavailable] * 3


def test_without_a_database_the_answer_is_unavailable_and_it_recovers(
    world: World, database_url: str
) -> None:
    away = make_engine(database_url.replace("/test_", "/nothing_"), pool_size=1)

    async def body() -> list[Any]:
        async with committing(away) as committer:
            return await asyncio.gather(
                *[committer.publish(publication(world, str(n))) for n in range(5)], return_exceptions=True
            )

    faults = run(body())
    away.dispose()
    assert [type(fault) for fault in faults] == [Unavailable] * 5
    assert "canary" not in str(faults)
    assert stored(world) == []


def test_a_connection_that_breaks_in_the_middle_is_unavailable_and_the_next_publish_works(
    world: World,
) -> None:
    async def body() -> tuple[Any, Any]:
        async with committing(world.engine) as committer:
            await committer.publish(publication(world, "1"))
            world.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            return await committer.publish(publication(world, "2")), await committer.publish(
                publication(world, "3")
            )

    run(body())
    assert stored(world) == ["1", "2", "3"]


def test_stopping_commits_what_waits(world: World) -> None:
    async def body() -> list[Any]:
        committer = Committer(world.engine, lambda *_: None, window_seconds=20)
        await committer.start()
        waiting = [asyncio.create_task(committer.publish(publication(world, str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        await committer.stop()
        return await asyncio.gather(*waiting)

    assert {answer[0].status for answer in run(body())} == {"accepted"}
    assert len(stored(world)) == 50


def test_a_client_that_went_away_costs_nobody_an_answer(world: World) -> None:
    async def body() -> Any:
        async with committing(world.engine, window=0.05) as committer:
            gone = asyncio.create_task(committer.publish(publication(world, "gone")))
            stays = asyncio.create_task(committer.publish(publication(world, "stays")))
            await asyncio.sleep(0)
            gone.cancel()
            return await stays

    assert run(body())[0].status == "accepted"
    assert sorted(stored(world)) == ["gone", "stays"]


def test_too_many_waiting_events_are_refused_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 10)

    async def body() -> tuple[Any, Any]:
        async with committing(world.engine, window=0.05) as committer:
            first = asyncio.create_task(committer.publish(publication(world, *["1"] * 8)))
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="wait to be written"):
                await committer.publish(publication(world, *["2"] * 3))
            return await first, await committer.publish(publication(world, *["3"] * 10))

    first, later = run(body())
    assert (len(first), len(later), len(stored(world))) == (8, 10, 18)


def test_large_lists_make_groups_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_GROUP", 10)
    commits = Commits(world.engine)

    async def body() -> list[Any]:
        async with committing(world.engine) as committer:
            return await asyncio.gather(
                committer.publish(publication(world, *["1"] * 25)),
                *[committer.publish(publication(world, *["1"] * 4)) for _ in range(4)],
            )

    assert [len(answer) for answer in run(body())] == [25, 4, 4, 4, 4]
    assert commits.count == 3
