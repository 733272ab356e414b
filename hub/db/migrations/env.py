"""Alembic's entry point; the connection is handed over by `hub.db.migrate`."""

from __future__ import annotations

from alembic import context

from hub.db.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
