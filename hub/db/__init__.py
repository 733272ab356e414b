"""The database: engine, schema conventions, ledger, partitions, migrations. Postgres 14 or newer, no extension."""
