"""Feeding a kept request in again, as if it came: after a secret was corrected, or an address, or a pause.

It is verified anew with the secrets of today and without the rule of age, which it met or not when it came. It makes
an event if none was made of it before, so doing it twice does nothing the second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import Conflict, Invalid
from hub.sources import store
from hub.sources.directory import read_source
from hub.sources.intake import publish
from hub.sources.overlap import live_ids
from hub.sources.receiving import Arrival, acceptance
from hub.sources.redaction import MASK
from hub.sources.verification import Received, compile_verifier
from hub.sources.verifiers.options import MAX_TOLERANCE

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine, Row

    from hub.access.principal import Principal
    from hub.core.settings import Settings
    from hub.sources.verification import Verifier
    from hub.vault.vault import Vault

_TOLERANCE = "tolerance_seconds"
_MASKED = " Credentials are not kept, so a request that is verified by one cannot be fed in again."


def without_age(spec: dict[str, Any], fetch: Callable[[str], bytes | None] | None = None) -> Verifier:
    """The verifier of a stored description, with the widest tolerance of age that it takes."""
    try:
        return compile_verifier(spec | {_TOLERANCE: MAX_TOLERANCE}, certificates=fetch)
    except Invalid:  # this kind signs no time
        return compile_verifier(spec, certificates=fetch)


def replay(
    engine: Engine,
    caller: Principal,
    source_id: uuid.UUID,
    request_id: uuid.UUID,
    *,
    vault: Vault,
    settings: Settings,
    fetch: Callable[[str], bytes | None],
    now: datetime,
) -> tuple[Row[Any], bool]:
    """Feed a request in again.

    Args:
        engine: the database; nothing is locked while a certificate is fetched.
        caller: who asks.
        source_id: of which source.
        request_id: which request.
        vault: opens the secrets.
        settings: caps of JSON, and the public address.
        fetch: gets a certificate, blocking.
        now: decides which secrets are valid.

    Returns:
        The request as it is now, and whether an event was made.

    Raises:
        NotFound: the tenant has no such source, or the source no such request.
        Conflict: it was a handshake, or its body was not kept.
    """
    with engine.connect() as conn:
        row = store.find_source(conn, caller.tenant_id, source_id)
        kept = store.find_inbound(conn, caller.tenant_id, source_id, request_id)
        wanted = [(row.tenant_id, one) for one, _ in live_ids(row.secrets, now.timestamp())]
        secrets = vault.get_many(conn, wanted)
    if kept.outcome in {"accepted", "duplicate"}:
        return kept, False
    if kept.outcome == "handshake":
        raise Conflict("This request was a handshake, of which no event is made.")
    if kept.body is None:
        raise Conflict(f"The body of this request ({kept.body_bytes} bytes) was not kept.")
    source = read_source(row, secrets, lambda spec: without_age(spec, fetch), now.timestamp())
    if source.verifier is None:
        raise Conflict("The verifier of this source cannot be read; set it anew.")
    arrival = _arrival(kept, settings)
    verdict = source.verifier.verify(arrival.received, source.secrets_at(now.timestamp()), arrival.at)
    values: dict[str, Any] = {"reason": verdict.reason, "detail": verdict.detail}
    if not verdict.ok and MASK in kept.headers.values():
        values["detail"] += _MASKED
    made = False
    with engine.begin() as conn:
        # Asked again, now that nobody else can feed it in.
        kept = store.find_inbound(conn, caller.tenant_id, source_id, request_id, lock=True)
        if kept.outcome != "rejected":
            return kept, False
        if verdict.ok:
            judged = acceptance(source, arrival, verdict, settings)
            end = publish(conn, [judged])[0]
            made = end.outcome == "accepted"
            values |= {
                "outcome": end.outcome,
                "message_id": end.message_id,
                "event_id": judged.row.event_id,
                "event_type": judged.row.event_type,
            }
        store.settle_inbound(conn, request_id, values)
        return store.find_inbound(conn, caller.tenant_id, source_id, request_id), made


def _arrival(kept: Row[Any], settings: Settings) -> Arrival:
    origin = settings.public_url or f"http://{kept.headers.get('host', '')}"
    url = f"{origin}{kept.path}?{kept.query}" if kept.query else f"{origin}{kept.path}"
    received = Received(kept.method, url, kept.query, kept.headers, bytes(kept.body))
    return Arrival(received, kept.path, kept.peer, kept.received_at)
