"""Expressions of JMESPath and JSONata, evaluated in processes of their own.

Why: each of these languages can be made to run for hours or to fill the memory with fewer than 100 characters,
by range, product, recursion, projection or pattern, and some parsers too. No check of the text finds that out.
So expressions are read and evaluated only in a child that has no environment, no files, no way to start processes
and a cap of memory (`hub.transforms.child`); the clock is held by this side, which kills a child that is late and
starts another for the next expression.

Promises: every call ends (the time limit is 300 ms, waiting for a free child and its start not included); children
go to those who wait in turns, one call of each at a time (`acting_for`), so that nobody's endless expressions keep
others out; one expression leaves nothing behind for the next; safe in many threads, and after a fork: the new process
makes children of its own. Where the system has no cap of memory (macOS), the clock alone holds; a warning says so.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict, deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from hub.core.errors import HubError, Unavailable
from hub.transforms.child_process import Child, ChildEndedError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from types import TracebackType

Language = Literal["jmespath", "jsonata"]
Reason = Literal["timeout", "out_of_memory", "error", "too_large"]

_log = logging.getLogger(__name__)

#: A child is replaced after so many questions, so that what the libraries keep cannot pile up.
_QUESTIONS_OF_A_CHILD = 10_000


class ExpressionFailed(HubError):
    """An expression is wrong, or does not fit the document, or asks for too much.

    Attributes:
        reason: `timeout`, `out_of_memory`, `too_large` (the document or the result), `error`.
        message: why, in words that follow "the expression failed:"; quotes nothing of the document.
    """

    status: ClassVar[int] = 422
    code: ClassVar[str] = "expression_failed"
    title: ClassVar[str] = "The expression failed"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"The expression failed: {message}.")
        self.reason = reason
        self.message = message


#: For whom this thread evaluates.
_BENEFICIARY: ContextVar[Hashable] = ContextVar("beneficiary", default=None)


@contextmanager
def acting_for(key: Hashable) -> Iterator[None]:
    """Evaluate for somebody, such as a tenant: who waits for a free child takes turns, however many calls each makes.

    Args:
        key: who it is.
    """
    token = _BENEFICIARY.set(key)
    try:
        yield
    finally:
        _BENEFICIARY.reset(token)


class Sandbox:
    """A pool of children that evaluate expressions. Children are started when they are first needed.

    Args:
        children: how many at most.
        timeout: seconds that one evaluation may take.
        memory_bytes: what a child may use beyond what it needs itself.
        max_bytes: cap of a document and of a result, as JSON.
        wait: seconds that a call waits for a free child.
    """

    def __init__(
        self,
        *,
        children: int = 1,
        timeout: float = 0.3,
        memory_bytes: int = 256 * 1_048_576,
        max_bytes: int = 4 * 1_048_576,
        wait: float = 10.0,
    ) -> None:
        self._children = children
        self._timeout = timeout
        self._memory_bytes = memory_bytes
        self._max_bytes = max_bytes
        self._wait = wait
        self._closed = False
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._started: set[Child] = set()
        self._taken = 0
        # Who waits, in the order of their turns; each call by an event that tells of its turn.
        self._waiting: OrderedDict[Hashable, deque[threading.Event]] = OrderedDict()

    def evaluate(self, language: Language, expression: str, document: Any) -> Any:
        """The value of an expression for a document.

        Raises:
            ExpressionFailed: by fault of the expression or the document.
            Unavailable: no child is free in time, or none can be started.
        """
        try:
            encoded = json.dumps(
                {"do": "evaluate", "language": language, "expression": expression, "document": document},
                allow_nan=False,
                separators=(",", ":"),
            ).encode()
        except RecursionError:
            raise ExpressionFailed("error", "the document is nested too deep") from None
        except (TypeError, ValueError):
            raise ExpressionFailed("error", "the document is not JSON") from None
        return self._ask(encoded)

    def check(self, language: Language, expression: str) -> None:
        """Whether an expression can be read.

        Raises:
            ExpressionFailed: it cannot; says why and where.
            Unavailable: as for `evaluate`.
        """
        self._ask(json.dumps({"do": "check", "language": language, "expression": expression}).encode())

    def close(self) -> None:
        """End the children.

        An evaluation that is under way comes to its end. Calls that wait, and later ones, get Unavailable.
        """
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for line in self._waiting.values():
                for turn in line:
                    turn.set()
        for child in idle:
            self._end(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: bytes) -> Any:
        if len(question) > self._max_bytes:
            raise ExpressionFailed("too_large", f"the document is over {self._max_bytes} bytes")
        child = self._take()
        keep = False
        try:
            answer = child.ask(question, time.monotonic() + self._timeout)
            keep = answer.get("failed") in (None, "error") and child.asked < _QUESTIONS_OF_A_CHILD
        except TimeoutError:
            raise ExpressionFailed("timeout", f"it takes over {round(self._timeout * 1000)} ms") from None
        except ChildEndedError:
            raise ExpressionFailed("error", "it broke its process; it is too deep or too large") from None
        finally:
            self._give_back(child, keep=keep)
        if "failed" in answer:
            raise ExpressionFailed(answer["failed"], answer["message"])
        return answer["ok"]

    def _take(self) -> Child:
        """A child for this call alone."""
        self._wait_for_turn()
        with self._lock:
            child = self._idle.pop() if self._idle else None
        try:
            if child is not None and not child.is_alive():
                self._end(child)
                child = None
            return child or self._start()
        except BaseException:
            self._hand_on()
            raise

    def _wait_for_turn(self) -> None:
        """Take one of the places that there are for children."""
        key, turn = _BENEFICIARY.get(), threading.Event()
        with self._lock:
            if not self._closed and self._taken < self._children:
                self._taken += 1
                return
            line = self._waiting.setdefault(key, deque())
            line.append(turn)
        if not self._closed:
            turn.wait(self._wait)
        with self._lock:
            # What is in no line any more was given its place.
            given = turn not in line
            if not given:
                line.remove(turn)
                if not line and self._waiting.get(key) is line:
                    del self._waiting[key]
        if self._closed:
            if given:
                self._hand_on()
            raise Unavailable("Expressions are no longer evaluated: the process is ending.")
        if not given:
            raise Unavailable("Too many expressions wait to be evaluated; try again later.")

    def _hand_on(self) -> None:
        """Give a place back: to whose turn it is."""
        with self._lock:
            if not self._waiting:
                self._taken -= 1
                return
            key, line = self._waiting.popitem(last=False)
            turn = line.popleft()
            if line:
                self._waiting[key] = line
            turn.set()

    def _start(self) -> Child:
        try:
            child = Child(memory_bytes=self._memory_bytes, max_bytes=self._max_bytes)
        except (ChildEndedError, OSError) as error:
            raise Unavailable(f"Expressions cannot be evaluated: {error}.") from None
        self._started.add(child)
        if not child.memory_limited:
            _log.warning("this system cannot limit the memory of expressions; the time limit alone holds")
        return child

    def _give_back(self, child: Child, *, keep: bool) -> None:
        with self._lock:
            keep = keep and not self._closed
            if keep:
                self._idle.append(child)
        if not keep:
            self._end(child)
        self._hand_on()

    def _end(self, child: Child) -> None:
        self._started.discard(child)
        child.kill()

    def _after_fork(self) -> None:
        """In the new process: the children, the lock and who holds it are the old one's."""
        for child in self._started:
            child.forget()
        self._begin()


_ALL: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for sandbox in list(_ALL):
        sandbox._after_fork()  # noqa: SLF001  (the class's own hook)


os.register_at_fork(after_in_child=_after_fork_in_child)
