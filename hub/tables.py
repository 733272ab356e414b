"""Loads every table into `hub.db.schema.metadata`: for migrations, and for tests that compare the two."""

from __future__ import annotations

import hub.access.models
import hub.db.models
import hub.flows.models
import hub.integrations.executions.models
import hub.integrations.grants.models
import hub.integrations.registry.models
import hub.monitoring.models
import hub.queue.models
import hub.sources.models
import hub.vault.models
import hub.webhooks.catalogue.models
import hub.webhooks.models
import hub.webhooks.replay.models

__all__ = ["hub"]
