"""Replays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part
from hub.client.encoding import fields_to_json, time_text

if TYPE_CHECKING:
    from datetime import datetime

    from hub.client.results import Page, Replay, ReplayDetail, ReplayDryRun, ReplayKind


class ReplayCalls(Calls):
    """Replays."""

    def create_replay(
        self,
        kind: ReplayKind,
        *,
        since: datetime | str,
        until: datetime | str | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Replay:
        """Start a job that sends events again, with the same bytes and the same `webhook-id`.

        Args:
            kind: `failed`, `missing` (events that an endpoint never got), `filter` or `all`.
            since: of events that were accepted from this moment on: a time with its zone, or RFC 3339 text.
            until: and before this one; None: now.
            idempotency_key: the same request with the same key is done once; made here when not given.
            fields: any other of the API: `endpoint`, `states`, `event_types`, `labels`, `response`, `filter`, `rate`.
        """
        body = fields_to_json(_fields(kind, since, until, fields))
        replay: Replay = self._post("/v1/replays", body, idempotency_key)
        return replay

    def try_replay(
        self, kind: ReplayKind, *, since: datetime | str, until: datetime | str | None = None, **fields: Any
    ) -> ReplayDryRun:
        """Count what a replay would send; nothing is written. Arguments as for `create_replay`."""
        body = {**_fields(kind, since, until, fields), "dry_run": True}
        answer: ReplayDryRun = self._send("POST", "/v1/replays", body, repeatable=True, extra_wait=30.0)
        return answer

    def get_replay(self, replay_id: str) -> ReplayDetail:
        """How far a replay came, and what became of what it sent."""
        replay: ReplayDetail = self._get(f"/v1/replays/{part(replay_id)}")
        return replay

    def list_replays(self, *, limit: int = 50, cursor: str | None = None) -> Page[Replay]:
        """A page of replays."""
        page: Page[Replay] = self._get("/v1/replays", limit=limit, cursor=cursor)
        return page

    def pause_replay(self, replay_id: str) -> Replay:
        """Pause a replay; what it made due so far is still sent."""
        return self._steer(replay_id, "pause")

    def resume_replay(self, replay_id: str) -> Replay:
        """Let a paused replay go on from where it stopped."""
        return self._steer(replay_id, "resume")

    def cancel_replay(self, replay_id: str) -> Replay:
        """Cancel a replay for good; what it made due so far is still sent."""
        return self._steer(replay_id, "cancel")

    def _steer(self, replay_id: str, action: str) -> Replay:
        replay: Replay = self._send("POST", f"/v1/replays/{part(replay_id)}/{action}", repeatable=True)
        return replay


def _fields(
    kind: str, since: datetime | str, until: datetime | str | None, more: dict[str, Any]
) -> dict[str, Any]:
    end = {} if until is None else {"until": time_text(until)}
    return {"kind": kind, "since": time_text(since), **end, **more}
