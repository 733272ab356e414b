"""Parameters of routes, as FastAPI takes them.

Apart from what they are about (`bodies`, `etags`), which workers need, too: FastAPI costs a process 7 MB.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request


async def _raw_body(request: Request) -> bytes:
    return await request.body()


#: Of a route that needs the bytes as they came: `raw: RawBody`.
RawBody = Annotated[bytes, Depends(_raw_body)]

#: Of a route that changes: `if_match: IfMatch = None`.
IfMatch = Annotated[
    str | None, Header(max_length=200, description="`ETag` of what you read: 412 if it changed since then.")
]
