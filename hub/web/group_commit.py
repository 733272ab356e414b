"""Group commit: what arrives together is written together, because a commit costs a disk flush whatever it carries."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from hub.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

#: Bytes of one group, and of all that wait.
_MAX_GROUP_BYTES = 8 * 1_048_576
_MAX_WAITING_BYTES = 64 * 1_048_576


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    item: T
    count: int
    size: int
    answer: asyncio.Future[R]


class GroupCommit(Generic[T, R]):
    """For one event loop.

    Args:
        write: commits a group, in a thread; a result or an error for each item, in order.
        window_seconds: how long an item waits for company. The next group gathers while one is being written, so
            under load the window adds nothing.
        what: what is counted, for errors: `events`.
        max_group: of it in one group.
        max_waiting: of it that wait; more is refused instead of filling memory.
    """

    #: Groups under way at once: while one waits for the disk, the next is prepared.
    _PARALLEL = 2

    def __init__(
        self,
        write: Callable[[Sequence[T]], Sequence[R | Exception]],
        *,
        window_seconds: float,
        what: str,
        max_group: int,
        max_waiting: int,
    ) -> None:
        self._write = write
        self._window = window_seconds
        self._what = what
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._waiting: list[_Waiting[T, R]] = []
        self._count = 0
        self._bytes = 0
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(self._PARALLEL)
        self._threads = ThreadPoolExecutor(self._PARALLEL, thread_name_prefix="commit")
        self._loop_task: asyncio.Task[None] | None = None
        self._groups: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to commit."""
        self._loop_task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Commit what waits, then end."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        while self._waiting:
            await self._write_group(self._take())
        await asyncio.gather(*self._groups)
        self._threads.shutdown()

    async def put(self, item: T, *, count: int = 1, size: int = 0) -> R:
        """Commit an item.

        Args:
            item: what to write.
            count: what it counts for.
            size: its weight, bytes.

        Raises:
            Unavailable: too much waits.
            Exception: what `write` gave for it, or raised.
        """
        if self._count + count > self._max_waiting or self._bytes > _MAX_WAITING_BYTES:
            raise Unavailable(f"{self._count} {self._what} wait to be written; send this again in a moment.")
        waiting: _Waiting[T, R] = _Waiting(item, count, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._count += count
        self._bytes += size
        self._news.set()
        return await waiting.answer

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            if self._window and self._count < self._max_group:
                await asyncio.sleep(self._window)
            await self._slots.acquire()
            group = self._take()
            if not self._waiting:
                self._news.clear()
            task = asyncio.create_task(self._write_group(group, slot=True))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)

    def _take(self) -> list[_Waiting[T, R]]:
        taken, count, size = 0, 0, 0
        for waiting in self._waiting:
            over = count + waiting.count > self._max_group or size + waiting.size > _MAX_GROUP_BYTES
            if taken and over:
                break
            taken += 1
            count += waiting.count
            size += waiting.size
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._count -= count
        self._bytes -= size
        return group

    async def _write_group(self, group: list[_Waiting[T, R]], *, slot: bool = False) -> None:
        answers: Sequence[R | BaseException]
        try:
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self._threads, self._write, [one.item for one in group])
        except Exception as error:  # noqa: BLE001 - every item gets an answer
            answers = [error] * len(group)
        finally:
            if slot:
                self._slots.release()
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():  # the client went away
                continue
            if isinstance(answer, BaseException):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
