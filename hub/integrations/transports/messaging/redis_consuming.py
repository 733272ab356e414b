"""Taking messages from streams and lists of Redis and Valkey.

Promises: what does not fit into the answer, and all of it when there is none, stays where it was and in its order. When
the connection breaks while messages are taken away, they are answered all the same: rather twice than never.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.dialled import too_large
from hub.integrations.transports.messaging.message import Inbox
from hub.integrations.transports.messaging.redis_client import text_of
from hub.net.cancellation import Cancelled

if TYPE_CHECKING:
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.messaging.redis_client import RedisSession
    from hub.integrations.transports.messaging.tasks import Task

# The beginning of a list, as far as it may fit. Only here it is known how long a message is as JSON: what really fits
# is taken in a second step.
_LOOK = """
local out, size = {'='}, 0
for i = 1, tonumber(ARGV[1]) do
  local value = redis.call('LINDEX', KEYS[1], i - 1)
  if not value then break end
  size = size + #value + 64
  if size > tonumber(ARGV[2]) then
    if i == 1 then return {'!'} end
    break
  end
  out[i + 1] = value
end
return out
"""
# Takes these from the beginning of a list, if they still are its beginning: another one may have come first.
_TAKE = """
local now = redis.call('LRANGE', KEYS[1], 0, #ARGV - 1)
for i = 1, #ARGV do
  if now[i] ~= ARGV[i] then return 0 end
end
redis.call('LTRIM', KEYS[1], #ARGV, -1)
return 1
"""
# Reads a stream for a group: first what this consumer got long ago and nobody acknowledged, then what is new. What
# does not fit is left as if it had been got long ago, so that it comes first at the next time.
_READ = """
local group, me, idle = ARGV[1], ARGV[2], ARGV[3]
local count, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local out, full = {'='}, false
local function take(entry)
  for _, text in ipairs(entry[2]) do room = room - #text - 16 end
  if room >= 0 then
    out[#out + 1] = entry
  else
    full = true
    redis.call('XCLAIM', KEYS[1], group, me, 0, entry[1], 'IDLE', idle, 'JUSTID')
    if #out == 1 then out[1] = '!' end
  end
end
local pending = redis.pcall('XPENDING', KEYS[1], group, '-', '+', count, me)
if pending.err then return pending end
for _, one in ipairs(pending) do
  if not full and one[3] >= tonumber(idle) then
    local entry = redis.call('XCLAIM', KEYS[1], group, me, 0, one[1])[1]
    -- One that was deleted from the stream can only be forgotten.
    if entry then take(entry) else redis.call('XACK', KEYS[1], group, one[1]) end
  end
end
while not full and #out <= count do
  local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not read then break end
  take(read[1][2][1])
end
return out
"""
_CONSUMER = "hub"
# So long another call may still be at an entry; then it ended without a word, and the entry comes again.
_IDLE_MS = 60_000
# The server's own waiting ends a little before the call.
_EARLIER_SECONDS = 0.2


def consume(session: RedisSession, task: Task, way: Way, max_bytes: int) -> bytes:
    """Take from a stream or a list."""
    wait = min(task.form.wait_seconds, max(way.deadline.remaining() - _EARLIER_SECONDS, 0))
    if task.form.stream is not None:
        return _from_stream(session, task, wait, max_bytes).body()
    return _from_list(session, task, wait, max_bytes).body()


def _from_stream(session: RedisSession, task: Task, wait: float, max_bytes: int) -> Inbox:
    form, inbox = task.form, Inbox(task.form.count, max_bytes)
    block = ("BLOCK", max(int(wait * 1000), 1)) if wait else ()
    if form.group is not None:
        entries = _read_as_group(session, task, form.group, block, max_bytes)
        _take_as_group(session, task, form.group, entries, inbox, max_bytes)
        return inbox
    after = task.after or "0-0"
    reply = session.ask(
        "XREAD", "COUNT", form.count, *block, "STREAMS", task.place, after, max_bytes=max_bytes
    )
    for entry in reply[0][1] if reply else []:
        if not _add(inbox, entry):
            break
    return inbox


def _read_as_group(
    session: RedisSession, task: Task, group: str, block: tuple[str | int, ...], max_bytes: int
) -> list[Any]:
    """Entries that belong to this consumer of the group from now on."""
    found = session.ask(
        "EVAL", _READ, 1, task.place, group, _CONSUMER, _IDLE_MS, task.form.count, max_bytes * 2,
        max_bytes=max_bytes * 2,
    )  # fmt: skip
    if found[0] == b"!":
        raise too_large(max_bytes)
    entries: list[Any] = found[1:]
    if entries or not block:
        return entries
    head = ("XREADGROUP", "GROUP", group, _CONSUMER, "COUNT", 1)
    reply = session.ask(*head, *block, "STREAMS", task.place, ">", max_bytes=max_bytes)
    return reply[0][1] if reply else []


def _take_as_group(
    session: RedisSession, task: Task, group: str, entries: list[Any], inbox: Inbox, max_bytes: int
) -> None:
    """Fill the inbox; what is not taken away comes first at the next time."""
    taken: list[bytes] = []
    try:
        for entry in entries:
            if not _add(inbox, entry):
                break
            taken.append(entry[0])
    finally:
        settled = taken if task.form.ack else []
        left = [entry[0] for entry in entries[len(settled) :]]
        if left:
            again = (_CONSUMER, 0, *left, "IDLE", _IDLE_MS, "JUSTID")
            session.ask("XCLAIM", task.place, group, *again, max_bytes=max_bytes)
    if settled:
        _settled(session, ("XACK", task.place, group, *settled), max_bytes)


def _add(inbox: Inbox, entry: list[Any]) -> bool:
    number, pairs = entry
    names = [text_of(name) for name in pairs[::2]]
    fields = dict(zip(names, pairs[1::2], strict=True))
    body, kind = fields.pop("body", b""), fields.pop("content_type", None)
    shown = {name: text_of(value) for name, value in fields.items()}
    return inbox.add(body, kind and text_of(kind), id=text_of(number), fields=shown or None)


def _from_list(session: RedisSession, task: Task, wait: float, max_bytes: int) -> Inbox:
    ends = time.monotonic() + wait
    while True:
        inbox = Inbox(task.form.count, max_bytes)
        fitting = _first_of(session, task, inbox, max_bytes)
        if fitting:
            if not task.form.ack or _settled(session, ("EVAL", _TAKE, 1, task.place, *fitting), max_bytes):
                return inbox
            continue
        left = ends - time.monotonic()
        if left <= 0:
            return inbox
        # Waits until there is one, and leaves it where it is. A timeout of 0 would have no end.
        session.ask(
            "BLMOVE", task.place, task.place, "LEFT", "LEFT", f"{max(left, 0.001):.3f}", max_bytes=max_bytes
        )


def _first_of(session: RedisSession, task: Task, inbox: Inbox, max_bytes: int) -> list[bytes]:
    """Fill the inbox from the beginning of a list; returns the elements that fitted."""
    found = session.ask("EVAL", _LOOK, 1, task.place, inbox.missing, max_bytes, max_bytes=max_bytes * 2)
    if found[0] == b"!":
        raise too_large(max_bytes)
    fitting: list[bytes] = []
    for value in found[1:]:
        if not inbox.add(value, None):
            break
        fitting.append(value)
    return fitting


def _settled(session: RedisSession, command: tuple[str | bytes | int, ...], max_bytes: int) -> Any:
    """Take messages away that will be answered; true as well when nobody knows whether they are away."""
    try:
        return session.ask(*command, max_bytes=max_bytes)
    except (OSError, Cancelled):
        session.close()
        return True
