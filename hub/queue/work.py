"""What a pump needs of a kind of work: a source of jobs, and a runner that makes their calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Job = TypeVar("Job")
Result = TypeVar("Result")
Job_contra = TypeVar("Job_contra", contravariant=True)
Result_contra = TypeVar("Result_contra", contravariant=True)


class Source(Protocol[Job, Result_contra]):
    """Where jobs come from and where their results go. Called from the pump's threads, never from two at once."""

    def claim(self, limit: int) -> tuple[list[Job], bool]:
        """Lease up to `limit` rows; the flag says that more are probably due."""
        ...

    def record(self, results: Sequence[Result_contra]) -> Callable[[], None]:
        """Decide what becomes of finished jobs; the returned action writes it and may be repeated."""
        ...

    def weigh(self, result: Result_contra) -> int:  # noqa: ARG002 - for those who override it
        """About how many bytes recording this result takes, when that may be many; 0 when it is always few."""
        return 0

    def claim_beside(self, limit: int) -> list[Job]:  # noqa: ARG002 - for those who override it
        """Lease up to `limit` rows that what fills the pump keeps waiting; none when nothing crowds others out."""
        return []

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """The same for jobs that were claimed and never started."""
        ...


class Runner(Protocol[Job_contra, Result]):
    """Makes the calls. Lives as long as its process, so that connections outlive one pump."""

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        ...

    def add(self, job: Job_contra) -> None:
        """Start a job; returns at once."""
        ...

    def poll(self, timeout: float) -> list[Result]:
        """What finished; waits up to `timeout` seconds for something to."""
        ...

    def wake(self) -> None:
        """Make a poll in another thread return."""
        ...

    def abort(self) -> list[Result]:
        """End all calls now; a result for each, saying that it was interrupted."""
        ...
