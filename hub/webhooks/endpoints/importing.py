"""Many endpoints at once, for who moves here: each is judged, then all are made, or those that can be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, HubError, Invalid
from hub.transforms import Sandbox
from hub.web.problems import fault_message
from hub.webhooks.endpoints import service
from hub.webhooks.endpoints.checking import check
from hub.webhooks.endpoints.schemas import EndpointCreate

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.access.principal import Principal
    from hub.core.secret import Secret
    from hub.net.policy import AddressPolicy
    from hub.vault.vault import Vault

#: Names are looked up side by side: one that nobody answers for must not hold up the others.
_THREADS = 64
_SHOWN_FAULTS = 100


@dataclass(slots=True)
class Item:
    """One endpoint of an import.

    Attributes:
        name: as far as it can be told.
        body: what it is to be; None when it cannot be read.
        faults: why it is refused.
        made: its id, once it is written.
        secret: one that the hub made for it.
    """

    name: str | None
    body: EndpointCreate | None
    faults: tuple[FieldError, ...] = ()
    made: uuid.UUID | None = None
    secret: Secret | None = None


def judge(specs: Sequence[Any], policy: AddressPolicy, now: datetime) -> list[Item]:
    """Judge endpoints as they were given. Asks DNS: call it outside of a transaction."""
    items = [_read(spec) for spec in specs]
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.body is not None and seen.setdefault(item.body.name, index) != index:
            item.faults = (FieldError("name", f"is the name of number {seen[item.body.name]} too"),)

    def run(item: Item) -> None:
        if item.body is None:
            return
        try:
            check(item.body, policy, now, sandbox)
        except Invalid as error:
            item.faults += error.fields

    with Sandbox() as sandbox, ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(run, items))
    return items


def write(
    conn: Connection,
    caller: Principal,
    items: Sequence[Item],
    *,
    vault: Vault,
    now: datetime,
) -> None:
    """Make the endpoints that were not refused; the database may refuse more of them, each for itself.

    Args:
        conn: a connection inside a transaction; the caller decides whether it counts.
        caller: who asks.
        items: as `judge` returned them; what became of each is noted there.
        vault: where secrets go.
        now: the current time.
    """
    for item in items:
        if item.body is None or item.faults:
            continue
        try:
            with conn.begin_nested():
                row, secret = service.insert(conn, caller, item.body, vault=vault, now=now)
        except (Invalid, Conflict) as error:
            item.faults = error.fields or (FieldError("", error.detail),)
            continue
        item.made = row.id
        item.secret = secret if item.body.secret is None else None
    if any(item.made for item in items):
        bump_config_version(conn, caller.tenant_id)


def refusal(items: Sequence[Item]) -> HubError | None:
    """Why an import of all or none makes none."""
    faults = tuple(
        FieldError(f"endpoints.{index}.{fault.path}".rstrip("."), fault.message)
        for index, item in enumerate(items)
        for fault in item.faults
    )
    if not faults:
        return None
    bad = sum(1 for item in items if item.faults)
    return Invalid(
        f"{bad} of {len(items)} endpoints cannot be made, so none was: mend them, or send `partial`."
        f" The first: {faults[0].path}: {faults[0].message}.",
        fields=faults[:_SHOWN_FAULTS],
    )


def _read(spec: Any) -> Item:
    name = spec.get("name") if isinstance(spec, dict) else None
    item = Item(name if isinstance(name, str) else None, None)
    try:
        item.body = EndpointCreate.model_validate(spec)
    except ValidationError as error:
        item.faults = tuple(
            FieldError(".".join(map(str, fault["loc"])), fault_message(fault))
            for fault in error.errors()[:20]
        )
    return item
