"""Many new executions in one transaction: in statements of a size that the database and this process can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.integrations.executions.store import insert_executions

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from hub.integrations.executions.store import NewExecution

#: Bytes of inputs and mappings that one transaction writes, and one statement of it. The first row goes in any case.
TRANSACTION_BYTES = 16 * 1_048_576
STATEMENT_BYTES = 8 * 1_048_576


def size_of(row: NewExecution) -> int:
    """Bytes of what a row carries of its caller's."""
    text = len(row.input) if row.input.isascii() else len(row.input.encode())
    return text + (0 if row.mapping is None else memoryview(row.mapping).nbytes)


def portions(rows: Sequence[NewExecution], max_bytes: int) -> Iterator[Sequence[NewExecution]]:
    """Cut rows so that each portion has at most so many bytes, or one row. Pure."""
    begin = size = 0
    for index, row in enumerate(rows):
        more = size_of(row)
        if index > begin and size + more > max_bytes:
            yield rows[begin:index]
            begin, size = index, 0
        size += more
    if begin < len(rows):
        yield rows[begin:]


def insert_in_portions(
    conn: Connection, tenant_id: uuid.UUID, source: str, rows: Sequence[NewExecution]
) -> list[uuid.UUID]:
    """Write executions of one tenant: a statement for every 8 MiB; see `insert_executions`."""
    return [
        one
        for portion in portions(rows, STATEMENT_BYTES)
        for one in insert_executions(conn, tenant_id, source, portion)
    ]
