"""The first schema: tables, and the functions of the SQL door.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Create everything; the schema `hub` exists (Alembic's own table lies in it)."""
    for name in ("0001_tables.sql", "0001_functions.sql"):
        # exec_driver_sql, not text(): the functions hold colons that are no parameters.
        op.get_bind().exec_driver_sql((_SQL / name).read_text().replace("%", "%%"))
    op.get_bind().exec_driver_sql("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hub FROM PUBLIC")


def downgrade() -> None:
    """Not offered: the ledger is the truth, and dropping it is not a step back."""
    raise RuntimeError("The first migration has no way back; drop the schema `hub` by hand if that is meant.")
