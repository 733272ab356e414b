"""One renewal among many threads, processes and machines: read → lease and intent → question → store.

Each of these is a short transaction or none; nothing is locked while the provider is asked. What a crash leaves:

- Before the lease: nothing; the next one renews.
- After lease and intent: nobody asks while the lease lives; then the next one does.
- After the question, before storing: the same. Where refresh tokens are good for one use, the stored one may be used
  up: then the provider refuses it, and the state says honestly `needs_reauth`.
- After storing: nothing; everybody sees the new version.

Promises: while a lease lives nobody else asks. What a provider has granted is stored even when the lease lapsed
meanwhile, unless something newer is there; storing is tried for a minute when the database does not answer. No token is
in a log, a message or a `repr`.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.exc import SQLAlchemyError

from hub.core.errors import NotFound
from hub.core.ids import Kind, format_id
from hub.integrations.grants import store
from hub.integrations.grants.answer import Refused, Tokens
from hub.integrations.grants.decision import GIVE_UP_AFTER, pause_after, refresh_after
from hub.integrations.grants.errors import NotYet
from hub.integrations.grants.grant import Grant
from hub.vault.envelope import Undecryptable
from hub.vault.vault import NewSecret

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from uuid import UUID

    from sqlalchemy import Connection, Engine

    from hub.core.secret import Secret
    from hub.integrations.grants.answer import Answer
    from hub.integrations.grants.asking import Asker
    from hub.integrations.grants.holder import Holder
    from hub.vault.vault import Vault

#: Longer than a question (10 s) and its storing take. After it, whoever asked is taken for dead.
LEASE_SECONDS = 20.0
_STORING_SECONDS = 60.0
_KIND = "grant"
_UNREADABLE_SECONDS = 30.0
_REPLACED_SECONDS = 0.2

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Who is told of what a person must know, inside the transaction that made it so. Must be quick."""

    def needs_reauth(self, conn: Connection, holder: Holder, reason: str) -> None:
        """A grant that there was is no more, or cannot be got; calls wait for a person."""

    def restored(self, conn: Connection, tenant_id: UUID, integration_id: UUID) -> None:
        """There is a usable grant where there was none; what waited can go on."""


class Nobody:
    """Listens to nothing."""

    def needs_reauth(self, conn: Connection, holder: Holder, reason: str) -> None:
        """Nothing."""

    def restored(self, conn: Connection, tenant_id: UUID, integration_id: UUID) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A grant with its access token, if that can be read."""

    grant: Grant
    token: Secret | None


class Refresher:
    """Renews grants.

    Args:
        engine: the database.
        vault: keeps the tokens.
        asker: asks the provider.
        rng: jitter.
        owner: this process's name, for people who look at leases.
        listener: is told of changes.
        pause: waits so many seconds between two tries to store.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        asker: Asker,
        *,
        rng: Random,
        owner: str,
        listener: Listener,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._asker = asker
        self._rng = rng
        self._owner = owner
        self._listener = listener
        self._pause = pause

    def look(self, holder: Holder, known: tuple[int, Secret] | None = None) -> Seen:
        """Read a grant; one is opened where there is none.

        Args:
            holder: whose.
            known: a version and its access token, which is then not read again.

        Raises:
            NotFound: the integration was deleted.
            NotYet: the token cannot be read.
        """
        with self._engine.begin() as conn:
            row = store.find_grant(conn, holder.tenant_id, holder.id)
            if row is None:
                store.open_grant(conn, holder.tenant_id, holder.id)
                row = store.find_grant(conn, holder.tenant_id, holder.id)
            if row is None:
                raise NotFound(f"There is no integration {format_id(Kind.INTEGRATION, holder.id)}.")
            grant = Grant.of(row)
            if grant.access_id is None:
                return Seen(grant, None)
            if known is not None and known[0] == grant.version:
                return Seen(grant, known[1])
            return Seen(grant, self._open(conn, holder, grant.access_id))

    def renew(self, holder: Holder, grant: Grant) -> None:
        """Renew a grant, unless somebody else was faster; then look again.

        Raises:
            NotYet: the refresh token cannot be read.
        """
        with self._engine.begin() as conn:
            refresh = self._refresh_token(conn, holder, grant)
            fence = store.take_lease(
                conn,
                holder.id,
                version=grant.version,
                fence=grant.fence,
                owner=self._owner,
                seconds=LEASE_SECONDS,
            )
        if fence is None:
            return
        answer = self._asker.ask(holder, refresh)
        self._store(lambda: self._write(holder, grant, fence, answer, refresh))

    def stop(self, holder: Holder, grant: Grant, reason: str) -> None:
        """Write down that only a person can go on."""
        with self._engine.begin() as conn:
            self._refused(conn, holder, grant, grant.fence, reason)

    def _refresh_token(self, conn: Connection, holder: Holder, grant: Grant) -> Secret | None:
        if not holder.by_people:
            return None
        if grant.basis == holder.basis and grant.refresh_id is not None:
            return self._open(conn, holder, grant.refresh_id)
        return holder.given_refresh_token

    def _open(self, conn: Connection, holder: Holder, secret_id: UUID) -> Secret:
        try:
            return self._vault.get(conn, holder.tenant_id, secret_id)
        except NotFound:  # replaced between two statements
            raise NotYet("The token is being replaced.", _REPLACED_SECONDS) from None
        except Undecryptable as error:
            raise NotYet(f"The stored token cannot be read: {error.detail}", _UNREADABLE_SECONDS) from None

    def _store(self, write: Callable[[], None]) -> None:
        """What was granted may exist nowhere else: a database that is away for a moment must not lose it."""
        until = time.monotonic() + _STORING_SECONDS
        wait = 0.1
        while True:
            try:
                write()
            except SQLAlchemyError as error:
                if time.monotonic() + wait > until:
                    raise
                log.warning(
                    "The answer of a token endpoint could not be stored yet: %s", type(error).__name__
                )
                self._pause(wait)
                wait = min(wait * 2, 3.0)
            else:
                return

    def _write(
        self, holder: Holder, grant: Grant, fence: int, answer: Answer, refresh: Secret | None
    ) -> None:
        with self._engine.begin() as conn:
            if isinstance(answer, Tokens):
                self._granted(conn, holder, grant, fence, answer)
            elif isinstance(answer, Refused) or (answer.lasting and grant.failures + 1 >= GIVE_UP_AFTER):
                self._refused(conn, holder, grant, fence, _explained(answer.message, grant, refresh))
            else:
                pause = pause_after(grant.failures, answer.retry_after, self._rng)
                store.note_failure(
                    conn,
                    holder.id,
                    fence=fence,
                    message=answer.message,
                    pause=pause,
                    # A failure of this one says nothing of what an earlier one left behind.
                    uncertain=answer.uncertain or grant.interrupted,
                )

    def _granted(self, conn: Connection, holder: Holder, grant: Grant, fence: int, tokens: Tokens) -> None:
        ours = grant.basis == holder.basis
        keep_old = ours and grant.refresh_id is not None and not _rotated(holder, tokens)
        values = token_values(conn, self._vault, holder, tokens, self._rng, kept=grant if ours else None)
        if keep_old:
            values["refresh"] = grant.refresh_id
        if not store.keep_tokens(conn, holder.id, version=grant.version, fence=fence, values=values):
            # Something newer is there (or the integration is gone): what was put away for nothing is taken out again.
            self._vault.delete(conn, holder.tenant_id, _ids(values, kept=grant if keep_old else None))
            return
        gone = [grant.access_id, None if keep_old else grant.refresh_id]
        self._vault.delete(conn, holder.tenant_id, [one for one in gone if one is not None])
        if grant.state == "needs_reauth":
            self._listener.restored(conn, holder.tenant_id, holder.id)

    def _refused(self, conn: Connection, holder: Holder, grant: Grant, fence: int, reason: str) -> None:
        changed = store.note_refusal(
            conn, holder.id, version=grant.version, fence=fence, message=reason, asked=holder.asked
        )
        if changed and grant.state != "needs_reauth":
            self._listener.needs_reauth(conn, holder, reason)


def token_values(
    conn: Connection, vault: Vault, holder: Holder, tokens: Tokens, rng: Random, *, kept: Grant | None
) -> dict[str, object]:
    """Put tokens into the vault; what `store.keep_tokens` takes.

    Args:
        conn: a connection inside a transaction.
        vault: takes them.
        holder: whose they are.
        tokens: as they were granted.
        rng: jitter.
        kept: the grant whose scopes and metadata stay where the answer has none.
    """
    new = [NewSecret(holder.tenant_id, _KIND, "access_token", tokens.access)]
    has_one = holder.given_refresh_token is not None or (kept is not None and kept.refresh_id is not None)
    if tokens.refresh is not None and (not has_one or _rotated(holder, tokens)):
        new.append(NewSecret(holder.tenant_id, _KIND, "refresh_token", tokens.refresh))
    ids = vault.put_many(conn, new)
    asked = tuple(str(scope) for scope in holder.parameters.get("scopes") or ())
    scopes = tokens.scopes if tokens.scopes is not None else (kept.scopes if kept else asked)
    return {
        "access": ids[0],
        "refresh": ids[1] if len(ids) > 1 else None,
        "basis": holder.basis,
        "life": tokens.life,
        "refresh_after": None if tokens.life is None else refresh_after(tokens.life, rng),
        "scopes": list(scopes),
        "metadata": json.dumps({**(kept.metadata if kept else {}), **tokens.metadata}),
    }


def _rotated(holder: Holder, tokens: Tokens) -> bool:
    """Whether the answer's refresh token takes the place of the one before."""
    return tokens.refresh is not None and bool(holder.parameters.get("rotation", True))


def _ids(values: dict[str, object], *, kept: Grant | None) -> list[UUID]:
    new = {values["access"], values["refresh"]} - {None, None if kept is None else kept.refresh_id}
    return list(new)  # type: ignore[arg-type]  # the values of these two keys are ids


def _explained(message: str, grant: Grant, refresh: Secret | None) -> str:
    if refresh is None or not grant.interrupted:
        return message
    return (
        f"{message} An earlier renewal was cut off after it had begun, so the provider may have replaced the"
        " refresh token without the hub having got the new one."
    )
