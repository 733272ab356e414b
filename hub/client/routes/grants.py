"""Grants: what providers gave leave for, in the modes that obtain tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.client.calls import Calls, part

if TYPE_CHECKING:
    from hub.client.results import Authorization, Disconnected, Grant, Polled

#: Seconds beyond the usual: the hub asks the provider before it answers.
_PROVIDER = 30.0


class GrantCalls(Calls):
    """Grants of integrations."""

    def authorize_integration(self, integration_id: str, *, return_url: str | None = None) -> Authorization:
        """Begin to have a person grant access; also again, when the provider has taken it back.

        Args:
            integration_id: `int_…`.
            return_url: where the last page leads back to; an address of the hub's own origin.
        """
        body = {} if return_url is None else {"return_url": return_url}
        begun: Authorization = self._send(
            "POST", f"{_path(integration_id)}/authorize", body, extra_wait=_PROVIDER
        )
        return begun

    def poll_authorization(self, integration_id: str) -> Polled:
        """Whether the person is done, for grants of the kind `device`."""
        state: Polled = self._send(
            "POST", f"{_path(integration_id)}/authorize/poll", repeatable=True, extra_wait=_PROVIDER
        )
        return state

    def get_grant(self, integration_id: str) -> Grant:
        """What the provider has granted; tokens are never shown."""
        found: Grant = self._get(f"{_path(integration_id)}/grant")
        return found

    def refresh_grant(self, integration_id: str) -> Grant:
        """Renew the token now."""
        found: Grant = self._send("POST", f"{_path(integration_id)}/grant/refresh", extra_wait=_PROVIDER)
        return found

    def delete_grant(self, integration_id: str) -> Disconnected:
        """Forget the tokens, and have the provider revoke them where that is possible."""
        done: Disconnected = self._send("DELETE", f"{_path(integration_id)}/grant", extra_wait=_PROVIDER)
        return done


def _path(integration_id: str) -> str:
    return f"/v1/integrations/{part(integration_id)}"
