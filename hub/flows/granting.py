"""What becomes known of grants: an alert when a person has to act, and calls that go on when the person has acted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from hub.core.ids import Kind, format_id, new_uuid
from hub.flows import store
from hub.integrations.executions.release_store import release_needing_reauth
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.store import NewMessage, insert_messages

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection

    from hub.integrations.grants.holder import Holder

log = logging.getLogger(__name__)

EVENT = "integration.needs_reauth"


class GrantListener:
    """Implements `hub.integrations.grants.refresh.Listener`. What it writes is found by the next sweep."""

    def needs_reauth(self, conn: Connection, holder: Holder, reason: str) -> None:
        """Tell those who listen to the hub, and the log."""
        integration = format_id(Kind.INTEGRATION, holder.id)
        log.error("Integration %s must be connected again by a person: %s", integration, reason)
        if holder.tenant_id in store.tenants_with_listeners(conn, [holder.tenant_id]):
            data = msgspec.json.encode({"integration": integration, "reason": reason}).decode()
            insert_messages(conn, [NewMessage(new_uuid(), holder.tenant_id, EVENT, data, OPERATIONAL)])

    def restored(self, conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> None:
        """Let what waited for the grant go on."""
        del tenant_id
        release_needing_reauth(conn, [integration_id])
