"""Integration Hub: Postgres is the ledger, Celery the engine, Redis the doorbell."""

__version__ = "0.1.0"
