"""Typed, sortable ids: a prefix that names the kind, and a UUIDv7 (RFC 9562) in hex: `msg_0199…`.

The database stores the bare uuid; the prefix exists at the edges (API, CLI, messages, logs), so that an id pasted
into the wrong place is refused by its kind. Ids sort by creation time, which is also what partitions cut along.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hub.core.errors import FieldError, Invalid


class Kind(StrEnum):
    """The prefix of every kind of id."""

    TENANT = "ten"
    API_KEY = "key"
    SECRET = "sec"  # noqa: S105 - a prefix, not a secret
    INTEGRATION = "int"
    EXECUTION = "exe"
    ENDPOINT = "ep"
    EVENT_TYPE = "evt"
    MESSAGE = "msg"
    DELIVERY = "dlv"
    ATTEMPT = "att"
    CHECK_RUN = "chk"
    REQUEST = "req"
    SOURCE = "src"
    RECEIPT = "inr"
    REPLAY = "rpl"
    BATCH = "bat"
    SCHEDULE = "sch"
    AUDIT = "aud"
    FLOW = "flw"


_HEX = re.compile(r"[0-9a-fA-F]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_lock = threading.Lock()
_last_ms = 0
_counter = 0
_random = b""
_random_at = 0
_POOL = 8192


def _after_fork() -> None:
    """The child makes its own randomness; a lock that another thread held would stay locked in it for ever."""
    global _lock, _random, _random_at  # noqa: PLW0603
    _lock = threading.Lock()
    _random, _random_at = b"", 0


def _take(count: int) -> int:
    """Random bytes as a number, from a pool: each `os.urandom` gives up the GIL, and with it a thread's turn.

    The caller holds the lock.
    """
    global _random, _random_at  # noqa: PLW0603
    if _random_at + count > len(_random):
        _random, _random_at = os.urandom(_POOL), 0
    taken = _random[_random_at : _random_at + count]
    _random_at += count
    return int.from_bytes(taken)


os.register_at_fork(after_in_child=_after_fork)


def new_uuid(now_ms: int | None = None) -> uuid.UUID:
    """Make a UUIDv7: 48 bits of Unix milliseconds, a 12-bit counter in this process, 62 random bits.

    Args:
        now_ms: Unix time in milliseconds; the clock when None. Ids of one process never run backwards.
    """
    global _last_ms, _counter  # noqa: PLW0603
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    with _lock:
        if now_ms is not None:
            counter = _take(2) & 0xFFF
        else:
            if ms > _last_ms:
                _last_ms, _counter = ms, _take(1) & 0x7F
            else:
                ms = _last_ms
                _counter += 1
                if _counter > 0xFFF:  # over 4,096 ids in one millisecond: borrow the next one
                    ms = _last_ms = _last_ms + 1
                    _counter = 0
            counter = _counter
        rand = _take(8) & 0x3FFF_FFFF_FFFF_FFFF
    return uuid.UUID(int=ms << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | rand)


def child_uuid(parent: uuid.UUID) -> uuid.UUID:
    """An id that begins with the first 64 bits of another: it sorts beside it and belongs to the same moment.

    What hangs on a row can be found by `children_of` through its primary key, without an index of its own.
    """
    with _lock:
        rand = _take(8) & 0x3FFF_FFFF_FFFF_FFFF
    return uuid.UUID(int=parent.int >> 64 << 64 | 0b10 << 62 | rand)


def children_of(parent: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    """The first and the last id that `child_uuid` can make of this one.

    Another parent of the same millisecond may, rarely, have its children there too: compare the parent as well.
    """
    stem = parent.int >> 64 << 64
    return uuid.UUID(int=stem), uuid.UUID(int=stem | 0xFFFF_FFFF_FFFF_FFFF)


def format_id(kind: Kind, value: uuid.UUID) -> str:
    """The public form, e.g. `msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e`."""
    return f"{kind.value}_{value.hex}"


def parse_id(kind: Kind, text: str, *, field: str = "id") -> uuid.UUID:
    """Read a public id of one kind.

    Raises:
        Invalid: it is of another kind or not an id at all.
    """
    prefix, _, hexed = text.partition("_")
    # Not left to uuid.UUID: it also reads 0x, +, spaces, underscores and the digits of other scripts.
    if prefix == kind.value and _HEX.fullmatch(hexed):
        return uuid.UUID(hex=hexed)
    message = f"not a valid id: expected `{kind.value}_` followed by 32 hexadecimal digits"
    raise Invalid(f"{field} is {message}.", fields=(FieldError(field, message),))


def time_of(value: uuid.UUID) -> datetime:
    """The creation time inside a UUIDv7, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)


def floor_uuid(at: datetime) -> uuid.UUID:
    """The smallest UUIDv7-ordered value of a moment: the bound that partitions and time filters use."""
    return uuid.UUID(int=(at - _EPOCH) // _MILLISECOND << 80)
