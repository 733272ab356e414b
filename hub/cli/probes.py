"""How `hub doctor` looks: each probe asks one part, within a few seconds, and never raises."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import redis
import requests
from kombu.exceptions import KombuError
from sqlalchemy.exc import SQLAlchemyError

from hub.api.store import ledger_depths
from hub.cli import findings, store
from hub.cli.failures import sentence_of
from hub.cli.findings import Finding, Level
from hub.core.errors import HubError
from hub.core.ids import Kind, format_id
from hub.db import migrate, partitions
from hub.db.engine import make_engine
from hub.queue.app import get_app
from hub.queue.bell import connect
from hub.queue.contracts import Queue
from hub.queue.store import list_workers, read_leader
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from hub.core.settings import Settings

_PATIENCE = 3.0
_PINGS = 5
_DAYS_AHEAD = 2
_EXAMPLES = 5


def probe_database(settings: Settings) -> list[Finding]:
    """The server, the schema, the keys, and what the tables say of workers, beat and troubles."""
    if settings.database_url is None:
        advice = "Set HUB_DATABASE_URL, or start a hub here with `hub up`."
        return [Finding("database", Level.FAIL, "HUB_DATABASE_URL is not set", advice)]
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=1, application_name="hub doctor")
    try:
        with engine.connect() as conn:
            found = _look_at_server(conn)
            migration = findings.judge_migration(migrate.current(conn), migrate.head())
            found.append(migration)
            if migration.level is not Level.OK:
                return found
            for look in (_partitions, _keys(settings), *_LOOKS):
                # A transaction each: one that fails says nothing about the next, and the key check may write.
                conn.rollback()
                found += _look(look, conn)
            return found
    except SQLAlchemyError as error:
        advice = "Start it, or correct HUB_DATABASE_URL."
        return [Finding("database", Level.FAIL, sentence_of(error), advice)]
    finally:
        engine.dispose()


def _look(look: Callable[[Connection], list[Finding]], conn: Connection) -> list[Finding]:
    try:
        store.limit_time(conn, _PATIENCE)
        return look(conn)
    except SQLAlchemyError as error:
        return [
            Finding(look.__name__.strip("_"), Level.WARN, sentence_of(error), "Run `hub doctor` once more.")
        ]


def _look_at_server(conn: Connection) -> list[Finding]:
    before = time.time()
    server = store.read_server(conn)
    middle = (before + time.time()) / 2
    return [
        findings.judge_server(server.version, server.encoding),
        findings.judge_clock(server.now.timestamp() - middle),
    ]


def _partitions(conn: Connection) -> list[Finding]:
    today = datetime.now(UTC).date()
    wanted = {today + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD + 1)}
    missing = {table: wanted - partitions.existing(conn, table).keys() for table in partitions.PARTITIONED}
    return [findings.judge_partitions(missing, today)]


def _keys(settings: Settings) -> Callable[[Connection], list[Finding]]:
    def keys(conn: Connection) -> list[Finding]:
        try:
            ring = KeyRing.from_settings(settings)
            Vault(ring).check(conn)
        except HubError as error:
            return [Finding("keys", Level.FAIL, error.detail, "Set HUB_MASTER_KEYS to this database's keys.")]
        return [findings.judge_keys(len(ring.keys))]

    return keys


def _beat(conn: Connection) -> list[Finding]:
    row = read_leader(conn, "beat")
    return [
        findings.judge_leader(None, 0) if row is None else findings.judge_leader(row.owner, row.remaining)
    ]


def _workers(conn: Connection) -> list[Finding]:
    return findings.judge_workers(list_workers(conn), [queue.value for queue in Queue])


def _backlog(conn: Connection) -> list[Finding]:
    return [findings.judge_backlog(ledger_depths(conn))]


def _quarantine(conn: Connection) -> list[Finding]:
    return [findings.judge_quarantined(store.count_quarantined(conn))]


def _rejected(conn: Connection) -> list[Finding]:
    return [findings.judge_rejected(store.count_rejected(conn))]


def _grants(conn: Connection) -> list[Finding]:
    rows = store.grants_to_renew(conn, _EXAMPLES)
    ids = [format_id(Kind.INTEGRATION, row.id) for row in rows]
    return [findings.judge_grants(rows[0].total if rows else 0, ids)]


def _schedules(conn: Connection) -> list[Finding]:
    rows = store.late_schedules(conn, findings.MAX_OVERDUE, _EXAMPLES)
    late = {format_id(Kind.SCHEDULE, row.id): row.late for row in rows}
    return [findings.judge_schedules(rows[0].total if rows else 0, late)]


def _flows(conn: Connection) -> list[Finding]:
    rows = store.idle_flows(conn, _EXAMPLES)
    idle = {format_id(Kind.FLOW, row.id): format_id(Kind.INTEGRATION, row.integration_id) for row in rows}
    return [findings.judge_flows(rows[0].total if rows else 0, idle)]


_LOOKS = (_beat, _workers, _backlog, _quarantine, _rejected, _grants, _schedules, _flows)


def probe_redis(settings: Settings) -> list[Finding]:
    """Reachable, how fast, and what it does when it is full."""
    if settings.redis_url is None:
        advice = "Set HUB_REDIS_URL, or start a hub here with `hub up`."
        return [Finding("redis", Level.FAIL, "HUB_REDIS_URL is not set", advice)]
    try:
        with connect(settings.redis_url.get_secret_value()) as client:
            times = []
            for _ in range(_PINGS):
                started = time.perf_counter()
                client.ping()
                times.append(time.perf_counter() - started)
            info = client.info()
    except (redis.RedisError, OSError) as error:
        advice = "Start it, or correct HUB_REDIS_URL. Meanwhile nothing is lost, but work starts later."
        return [Finding("redis", Level.FAIL, f"does not answer ({type(error).__name__})", advice)]
    name = (
        f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info.get('redis_version', '?')}"
    )
    policy = str(info.get("maxmemory_policy", "unknown policy"))
    limit = int(info.get("maxmemory", 0))
    return [findings.judge_redis(name, policy, limit, statistics.median(times) * 1000)]


def probe_broker(settings: Settings) -> list[Finding]:
    """Reachable, and how many messages wait in the hub's queues."""
    url = settings.celery_broker_url
    if url is None:
        return [
            Finding(
                "broker", Level.FAIL, "neither HUB_BROKER_URL nor HUB_REDIS_URL is set", "Set one of them."
            )
        ]
    connection: Any = get_app().connection_for_read(url, connect_timeout=_PATIENCE)
    connection.transport_options |= {
        "socket_connect_timeout": _PATIENCE,
        "socket_timeout": _PATIENCE,
        "max_retries": 0,
    }
    faults: tuple[type[BaseException], ...] = (KombuError, OSError, *connection.connection_errors)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=_PATIENCE)
            lengths = {queue.value: _length(connection, queue.value) for queue in Queue}
    except faults as error:
        advice = "Start it, or correct HUB_BROKER_URL. Meanwhile the API still accepts, and nothing is lost."
        return [Finding("broker", Level.FAIL, f"does not answer ({type(error).__name__})", advice)]
    return [findings.judge_queues(lengths)]


def _length(connection: Any, queue: str) -> int:
    missing: tuple[type[BaseException], ...] = connection.channel_errors
    with connection.channel() as channel:
        try:
            # A look must not make a queue in RabbitMQ. In Redis declaring makes nothing, and kombu's passive
            # form forgets the key prefix and finds no queue at all.
            passive = connection.transport.driver_type == "amqp"
            return int(channel.queue_declare(queue=queue, passive=passive).message_count)
        except missing:
            return 0


def probe_api(url: str) -> list[Finding]:
    """`/readyz` of the API."""
    try:
        answer = requests.get(f"{url.rstrip('/')}/readyz", timeout=_PATIENCE, allow_redirects=False)
        body = answer.json()
    except requests.JSONDecodeError:
        return [Finding("api", Level.FAIL, f"what answers at {url} is not a hub", "Correct HUB_URL.")]
    except (requests.RequestException, ValueError) as error:
        advice = "Start `python -m hub.api`, or correct HUB_URL."
        return [Finding("api", Level.FAIL, f"{url} does not answer ({type(error).__name__})", advice)]
    parts = body.get("parts", []) if isinstance(body, dict) else []
    return [findings.judge_api(url, answer.status_code, parts)]
