"""What `hub doctor` makes of what it saw: ok, warn or fail, and what to do. Pure: facts in, findings out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

_OLDEST_POSTGRES = 140_000
_MAX_SKEW = 2.0
_MAX_REDIS_MS = 50.0
_MAX_QUEUED = 10_000
#: Seconds.
MAX_OVERDUE = 60.0
#: A worker writes every 5 s.
_DEAD_AFTER = 20.0
_METADATA_SERVICE = ipaddress.ip_address("169.254.169.254")


class Level(StrEnum):
    """How bad it is. Only `fail` makes the command fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Args:
        part: what was looked at.
        level: how it is.
        seen: what was seen.
        advice: what to do; empty when nothing.
    """

    part: str
    level: Level
    seen: str
    advice: str = ""


def judge_server(version: int, encoding: str) -> Finding:
    """The database server.

    Args:
        version: `server_version_num`.
        encoding: of the database.
    """
    seen = f"PostgreSQL {version // 10_000}.{version % 10_000}, {encoding}"
    if version < _OLDEST_POSTGRES:
        return Finding("database", Level.FAIL, seen, "The hub needs PostgreSQL 14 or newer.")
    if encoding != "UTF8":
        return Finding("database", Level.FAIL, seen, "Make the database anew with ENCODING 'UTF8'.")
    return Finding("database", Level.OK, seen)


def judge_clock(skew: float) -> Finding:
    """The database's clock minus ours, in seconds."""
    seen = f"{abs(skew):.2f} s {'behind' if skew > 0 else 'ahead of'} the database"
    if abs(skew) > _MAX_SKEW:
        return Finding(
            "clock", Level.WARN, seen, "Run NTP on both machines: signatures carry this clock's time."
        )
    return Finding("clock", Level.OK, seen)


def judge_migration(current: str | None, head: str) -> Finding:
    """The schema's revision against the one that this version needs."""
    if current == head:
        return Finding("migrations", Level.OK, f"at {head}")
    return Finding(
        "migrations", Level.FAIL, f"at {current or 'nothing'}, needed {head}", "Run `hub migrate`."
    )


def judge_partitions(missing: Mapping[str, Collection[date]], today: date) -> Finding:
    """Daily partitions that do not exist.

    Args:
        missing: table → days, today or later.
        today: the current day, UTC.
    """
    absent = {table: sorted(days) for table, days in missing.items() if days}
    if not absent:
        return Finding("partitions", Level.OK, "made for today and the next 2 days")
    seen = "; ".join(f"{table}: no {', '.join(map(str, days))}" for table, days in absent.items())
    now = any(today in days for days in absent.values())
    return Finding(
        "partitions",
        Level.FAIL if now else Level.WARN,
        seen,
        "Run `hub migrate` now, and see why the system workers or beat have not made them.",
    )


def judge_keys(count: int) -> Finding:
    """The key ring opens the canary."""
    return Finding("keys", Level.OK, f"the canary opens; {count} key{'' if count == 1 else 's'} in the ring")


def judge_leader(owner: str | None, remaining: float) -> Finding:
    """Who leads beat, and for how many more seconds."""
    if owner is None or remaining <= 0:
        return Finding(
            "beat",
            Level.FAIL,
            "nobody leads",
            "Start `celery -A workers.app beat`; any number of them may run.",
        )
    return Finding("beat", Level.OK, f"{owner} leads")


def judge_workers(workers: Sequence[Any], queues: Collection[str]) -> list[Finding]:
    """One finding for each queue: a worker serves it, or none does.

    Args:
        workers: rows with `name`, `queues` (commas between), `age` of the heartbeat in seconds, `stopped_at`.
        queues: that must be served.
    """
    alive = [one for one in workers if one.stopped_at is None and one.age < _DEAD_AFTER]
    silent = [one for one in workers if one.stopped_at is None and one.age >= _DEAD_AFTER]
    findings = []
    for queue in sorted(queues):
        serving = [one.name for one in alive if queue in one.queues.split(",")]
        if serving:
            findings.append(Finding(f"workers of {queue}", Level.OK, ", ".join(serving)))
            continue
        lost = [f"{one.name} silent for {one.age:.0f} s" for one in silent if queue in one.queues.split(",")]
        findings.append(
            Finding(
                f"workers of {queue}",
                Level.FAIL,
                "; ".join(lost) or "none",
                f"Start `celery -A workers.app worker -Q {queue}`.",
            )
        )
    return findings


def judge_backlog(depths: Sequence[Any]) -> Finding:
    """Work that waits.

    Args:
        depths: rows with `table`, `due`, `leased` and `oldest_due_seconds`.
    """
    waiting = [one for one in depths if one.due]
    seen = ", ".join(
        f"{one.table}: {one.due} due, {one.leased} at work" for one in depths if one.due or one.leased
    )
    late = max((one.oldest_due_seconds for one in waiting), default=0.0)
    if late > MAX_OVERDUE:
        return Finding(
            "backlog",
            Level.WARN,
            f"{seen}; the oldest waits for {late:.0f} s",
            "Add workers, or see their log.",
        )
    return Finding("backlog", Level.OK, seen or "nothing waits")


def judge_quarantined(counts: Mapping[str, int]) -> Finding:
    """Rows whose workers vanished three times in a row, by table."""
    if not counts:
        return Finding("quarantine", Level.OK, "empty")
    seen = ", ".join(f"{count} of {table}" for table, count in sorted(counts.items()))
    return Finding(
        "quarantine",
        Level.WARN,
        seen,
        "Look at their attempts (state held), then resend deliveries, replay executions, or cancel them.",
    )


def judge_rejected(count: int) -> Finding:
    """Broker messages of the last day that no task understood."""
    if not count:
        return Finding("rejected messages", Level.OK, "none in the last day")
    return Finding(
        "rejected messages",
        Level.WARN,
        f"{count} in the last day",
        "`hub rejected list` shows each with its reason.",
    )


def judge_grants(count: int, examples: Sequence[str]) -> Finding:
    """Integrations whose provider has taken the grant back.

    Args:
        count: how many.
        examples: ids of some.
    """
    if not count:
        return Finding("grants", Level.OK, "none was taken back")
    return Finding(
        "grants",
        Level.WARN,
        f"a person must connect {_some(count, examples)}",
        "Run `hub integrations connect INTEGRATION` with a key of its tenant.",
    )


def judge_schedules(count: int, late: Mapping[str, float]) -> Finding:
    """Schedules that should have started a while ago.

    Args:
        count: of those that are over `MAX_OVERDUE`.
        late: some of them by id, and by how many seconds.
    """
    if not count:
        return Finding("schedules", Level.OK, "on time")
    return Finding(
        "schedules",
        Level.WARN,
        f"up to {max(late.values()):.0f} s late: {_some(count, list(late))}",
        "See why beat or the workers of hub.system do not start them.",
    )


def judge_flows(count: int, idle: Mapping[str, str]) -> Finding:
    """Flows that go on taking events for integrations that are inactive.

    Args:
        count: how many.
        idle: some of them by id, with their integrations.
    """
    if not count:
        return Finding("flows", Level.OK, "none leads to an inactive integration")
    pairs = [f"{flow} to {integration}" for flow, integration in idle.items()]
    return Finding(
        "flows",
        Level.WARN,
        f"lead to an inactive integration: {_some(count, pairs)}",
        "Make the integration active, or run `hub flows pause FLOW`.",
    )


def _some(count: int, examples: Sequence[str]) -> str:
    """A few of many: `a, b and 3 more`."""
    more = count - len(examples)
    return ", ".join(examples) + (f" and {more} more" if more > 0 else "")


def judge_redis(version: str, policy: str, max_memory: int, milliseconds: float) -> Finding:
    """Redis: what it drops when it is full, and how fast it answers.

    Args:
        version: as it says.
        policy: `maxmemory_policy`.
        max_memory: bytes; 0 is no limit.
        milliseconds: median of a few round trips.
    """
    seen = f"{version}, {policy}, {milliseconds:.1f} ms"
    if max_memory and policy != "noeviction":
        return Finding(
            "redis",
            Level.WARN,
            seen,
            "Set maxmemory-policy noeviction: doorbells and limits must not be evicted.",
        )
    if milliseconds > _MAX_REDIS_MS:
        return Finding("redis", Level.WARN, seen, "Move it nearer, or find what keeps it busy.")
    return Finding("redis", Level.OK, seen)


def judge_queues(lengths: Mapping[str, int]) -> Finding:
    """Messages in each of the broker's queues."""
    full = [queue for queue, length in lengths.items() if length > _MAX_QUEUED]
    seen = (
        ", ".join(f"{queue} {length}" for queue, length in sorted(lengths.items()) if length)
        or "queues are empty"
    )
    if full:
        return Finding("broker", Level.WARN, seen, f"Add workers for {', '.join(full)}.")
    return Finding("broker", Level.OK, seen)


def judge_egress(allow: Sequence[str], ports: Sequence[int], *, whose: str) -> Finding:
    """Where calls may go although the address is private.

    Args:
        allow: HUB_EGRESS_ALLOW.
        ports: HUB_EGRESS_PORTS.
        whose: settings these are.
    """
    allowed = [ipaddress.ip_network(cidr) for cidr in allow]
    seen = (
        f"settings of {whose}: private networks allowed: {', '.join(allow) or 'none'};"
        f" ports: {'any' if 0 in ports else ', '.join(map(str, ports))}"
    )
    if any(
        _METADATA_SERVICE in network for network in allowed if network.version == _METADATA_SERVICE.version
    ):
        return Finding(
            "egress",
            Level.WARN,
            seen,
            "HUB_EGRESS_ALLOW opens the cloud's metadata service to tenants: narrow it.",
        )
    return Finding("egress", Level.OK, seen)


def judge_api(url: str, status: int, parts: Sequence[Mapping[str, Any]]) -> Finding:
    """What `/readyz` answered."""
    wrong = "; ".join(f"{part.get('name')}: {part.get('detail')}" for part in parts if not part.get("ok"))
    if status == 200:
        return Finding("api", Level.OK, f"{url} is ready" + (f" ({wrong})" if wrong else ""))
    return Finding(
        "api", Level.FAIL, f"{url} answers {status}: {wrong or 'not ready'}", "Mend what it names."
    )
