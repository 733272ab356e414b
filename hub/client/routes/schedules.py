"""Schedules of executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part

if TYPE_CHECKING:
    from hub.client.results import Page, Schedule


class ScheduleCalls(Calls):
    """Schedules of executions."""

    def create_schedule(self, integration: str, name: str, operation: str, **fields: Any) -> Schedule:
        """Execute an operation at times of the clock.

        Args:
            integration: `int_…`.
            name: of the schedule; no other one has it.
            operation: that is executed.
            fields: `cron` (five fields, read in `timezone`) or `every_seconds`, and any other of the API: `input`,
                `overlap`, `paused`.
        """
        body = {"name": name, "operation": operation, **fields}
        made: Schedule = self._send("POST", f"/v1/integrations/{part(integration)}/schedules", body)
        return made

    def get_schedule(self, schedule_id: str) -> Schedule:
        """A schedule, `sch_…`; what it started is `list_executions(schedule=…)`."""
        found: Schedule = self._get(_path(schedule_id))
        return found

    def list_schedules(
        self, *, integration: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Schedule]:
        """A page of schedules, of one integration if one is given."""
        page: Page[Schedule] = self._get("/v1/schedules", integration=integration, limit=limit, cursor=cursor)
        return page

    def update_schedule(self, schedule_id: str, *, version: int | None = None, **fields: Any) -> Schedule:
        """Change a schedule; fields that are left out stay.

        Args:
            schedule_id: `sch_…`.
            version: that was read; the change is refused (412) if there is another one now.
            fields: any of the API.
        """
        changed: Schedule = self._change("PATCH", _path(schedule_id), fields, version)
        return changed

    def pause_schedule(self, schedule_id: str) -> Schedule:
        """Start nothing more; what was started goes on."""
        return self.update_schedule(schedule_id, paused=True)

    def resume_schedule(self, schedule_id: str) -> Schedule:
        """Go on with the next moment; those that passed are not made up for."""
        return self.update_schedule(schedule_id, paused=False)

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule; what it started goes on."""
        self._send("DELETE", _path(schedule_id))


def _path(schedule_id: str) -> str:
    return f"/v1/schedules/{part(schedule_id)}"
