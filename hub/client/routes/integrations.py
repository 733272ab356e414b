"""Integrations: their definitions and versions, and what can be tried with them."""

# ruff: noqa: A002 - `type` and `input` are the fields' names

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hub.client.results import (
        AlertState,
        AppliedAll,
        Difference,
        Integration,
        IntegrationKinds,
        IntegrationTest,
        IntegrationUsage,
        IntegrationVersion,
        IntegrationVersionDetail,
        Page,
    )

#: Seconds beyond the usual: of a real call, and of looking up the hosts of many definitions.
_CALL = 35.0
_LOOK_UPS = 60.0


class IntegrationCalls(Calls):
    """Definitions of integrations."""

    def integration_kinds(self) -> IntegrationKinds:
        """Types, protocols, transports and authentication modes, with the form of each as a JSON Schema."""
        kinds: IntegrationKinds = self._get("/v1/integration-kinds")
        return kinds

    def create_integration(self, **fields: Any) -> Integration:
        """Make an integration: `name`, `base_url`, and any other field of the API."""
        integration: Integration = self._send("POST", "/v1/integrations", fields)
        return integration

    def get_integration(self, integration_id: str) -> Integration:
        """An integration, `int_…`."""
        integration: Integration = self._get(_path(integration_id))
        return integration

    def list_integrations(
        self,
        *,
        status: str | None = None,
        type: str | None = None,
        tag: Sequence[str] | None = None,
        search: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Integration]:
        """A page of integrations for which everything that is given holds.

        Args:
            status: such as `active`.
            type: such as `database`.
            tag: they have all of these.
            search: in name or description.
            limit: at most so many.
            cursor: `next_cursor` of the page before.
        """
        page: Page[Integration] = self._get(
            "/v1/integrations",
            status=status,
            type=type,
            tag=None if tag is None else list(tag),
            search=search,
            limit=limit,
            cursor=cursor,
        )
        return page

    def update_integration(
        self, integration_id: str, *, version: int | None = None, **fields: Any
    ) -> Integration:
        """Change an integration; fields that are left out stay.

        Args:
            integration_id: `int_…`.
            version: that was read; the change is refused (412) if there is another one now.
            fields: any of the API.
        """
        integration: Integration = self._change("PATCH", _path(integration_id), fields, version)
        return integration

    def delete_integration(self, integration_id: str, *, version: int | None = None) -> None:
        """Delete an integration, if it still is of that version; its executions stay readable."""
        self._change("DELETE", _path(integration_id), None, version)

    def apply_integrations(
        self, documents: Iterable[Mapping[str, Any]], *, dry_run: bool = False
    ) -> AppliedAll:
        """Make definitions as they are declared: all of them or none. Applying the same again changes nothing.

        Args:
            documents: each as for `create_integration`; of one that exists, secrets may be left out.
            dry_run: only tell what would change.
        """
        body = {"integrations": [dict(one) for one in documents]}
        applied: AppliedAll = self._send(
            "POST",
            "/v1/integrations/apply",
            body,
            query={"dry_run": "true"} if dry_run else None,
            repeatable=True,
            extra_wait=_LOOK_UPS,
        )
        return applied

    def list_integration_versions(
        self, integration_id: str, *, before: int | None = None, limit: int = 20
    ) -> list[IntegrationVersion]:
        """The versions of an integration below `before`, newest first."""
        path = f"{_path(integration_id)}/versions"
        versions: list[IntegrationVersion] = self._get(path, before=before, limit=limit)
        return versions

    def get_integration_version(self, integration_id: str, version: int) -> IntegrationVersionDetail:
        """One version with its document; secrets are not in it."""
        found: IntegrationVersionDetail = self._get(f"{_path(integration_id)}/versions/{version:d}")
        return found

    def compare_integration_versions(
        self, integration_id: str, version: int, to: int | None = None
    ) -> Difference:
        """What changed from one version to another; to the present one when none is given."""
        found: Difference = self._get(f"{_path(integration_id)}/versions/{version:d}/diff", to=to)
        return found

    def roll_back_integration(self, integration_id: str, version: int) -> Integration:
        """Make an old version the present one, as a new version. Secrets stay those of today."""
        path = f"{_path(integration_id)}/versions/{version:d}/rollback"
        integration: Integration = self._send("POST", path)
        return integration

    def test_integration(
        self, integration_id: str, operation: str | None = None, input: Mapping[str, Any] | None = None
    ) -> IntegrationTest:
        """Make one real call now, which is not recorded: of an operation, or the health check when none is given."""
        body = {} if operation is None else {"operation": operation, "input": dict(input or {})}
        made: IntegrationTest = self._send("POST", f"{_path(integration_id)}/test", body, extra_wait=_CALL)
        return made

    def get_integration_usage(self, integration_id: str) -> IntegrationUsage:
        """What was used of an integration's quota today and this month (UTC)."""
        usage: IntegrationUsage = self._get(f"{_path(integration_id)}/usage")
        return usage

    def list_integration_alerts(self, integration_id: str) -> list[AlertState]:
        """Every alert of an integration, and whether it fires."""
        alerts: list[AlertState] = self._get(f"{_path(integration_id)}/alerts")
        return alerts


def _path(integration_id: str) -> str:
    return f"/v1/integrations/{part(integration_id)}"
